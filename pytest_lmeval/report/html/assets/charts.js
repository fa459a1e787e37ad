// Charts as plain SVG, coloured by the style sheet, each with its numbers as text for those who do not see it.

// Drawn as large as it is seen, so that its words can be read on a phone.
const chartWidth = () => (innerWidth < 700 ? 340 : 560);

/** A round step that divides a span into about `parts`. */
function niceStep(span, parts) {
  const rough = span / parts || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

function ticks(low, high, parts = 5) {
  const step = niceStep(high - low, parts);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
const finite = (values) => values.map(number).filter((value) => typeof value === "number" && Number.isFinite(value));
const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");

function figure(label, width, height, ...parts) {
  return s("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, parts);
}

/** The score with its interval, above it the baseline and the thresholds. */
function scoreChart(score) {
  const [width, height, middle] = [chartWidth(), 110, 56];
  const drawn = finite([score.value, score.low, score.high, score.baseline, ...score.bounds.map(({ limit }) => limit)]);
  if (drawn.length === 0) return null;
  let [low, high] = [Math.min(...drawn), Math.max(...drawn)];
  const room = (high - low) * 0.15 || Math.abs(high) * 0.1 || 0.1;
  [low, high] = [low - room, high + room];
  if (drawn.every((value) => value >= 0 && value <= 1)) [low, high] = [Math.max(0, low), Math.min(1, high)];
  const x = scale(low, high, 24, width - 24);
  const { found, digits } = ticks(low, high, width / 110);
  const value = number(score.value);
  const ends = finite([score.low, score.high]);
  return figure(
    `${score.metric}: ${score.told}${score.baselineTold ? `, baseline ${score.baselineTold}` : ""}${score.bounds.map(({ told: text }) => `, ${text}`).join("")}`,
    width, height,
    s("path", { class: "axis", d: `M24 84H${width - 24}` }),
    found.map((at) => [s("path", { class: "axis", d: `M${x(at)} 84v5` }), s("text", { x: x(at), y: 103, "text-anchor": "middle" }, fixed(at, digits))]),
    score.bounds.map(({ bound, limit, passed, told: text }) => boundMark(x(number(limit)), bound, passed, text, width)),
    score.baseline === null ? null : [
      s("path", { class: "then", d: `M${x(number(score.baseline))} 38V84` }),
      s("text", { class: "then", x: x(number(score.baseline)), y: 32, "text-anchor": anchor(x(number(score.baseline)), width) }, `baseline ${score.baselineTold}`),
    ],
    ends.length === 2 ? s("path", { class: "whisker", d: `M${x(Math.max(low, ends[0]))} ${middle}H${x(Math.min(high, ends[1]))}` }) : null,
    Number.isFinite(value) ? [
      s("circle", { class: "dot", cx: x(value), cy: middle, r: 6 }),
      s("text", { class: "strong", x: x(value), y: 76, "text-anchor": anchor(x(value), width) }, `now ${score.told}`),
    ] : null,
  );
}

const anchor = (x, width) => (x < 90 ? "start" : x > width - 90 ? "end" : "middle");

function boundMark(x, bound, passed, text, width) {
  const inward = bound === "min" ? 6 : -6;
  return [
    s("path", { class: `bound ${passed ? "" : "bad"}`, d: `M${x + inward} 22H${x}V84` }),
    s("text", { class: `bound ${passed ? "" : "bad"}`, x, y: 14, "text-anchor": anchor(x, width) }, passed ? text : `✗ ${text}`),
  ];
}

/** Margins now as bars, then as an outline. */
function marginChart({ edges, now, then }) {
  const [width, height, bottom] = [chartWidth(), 190, 150];
  const most = Math.max(...now, ...then, 1);
  const [low, high] = [edges[0], edges.at(-1)];
  const x = scale(low, high, 40, width - 12);
  const y = scale(0, most, bottom, 14);
  const { found, digits } = ticks(low, high, width / 95);
  const outline = then.map((value, at) => `${at ? "L" : "M"}${x(edges[at])} ${y(value)}H${x(edges[at + 1])}`).join("");
  const wrong = (values) => values.reduce((sum, value, at) => sum + (edges[at + 1] <= 1e-12 ? value : 0), 0);
  const label = `Margins now: ${count(wrong(now))} of ${count(sum(now))} documents below zero${then.length ? `; in the baseline ${count(wrong(then))}` : ""}`;
  return figure(
    label, width, height,
    s("path", { class: "axis", d: `M40 ${bottom}H${width - 12}` }),
    [most, Math.round(most / 2)].map((at) => [s("path", { class: "grid", d: `M40 ${y(at)}H${width - 12}` }), s("text", { x: 34, y: y(at) + 4, "text-anchor": "end" }, count(at))]),
    now.map((value, at) => (value ? s("rect", {
      class: edges[at + 1] <= 1e-12 ? "bar wrong" : "bar", x: x(edges[at]) + 0.5, width: Math.max(0.5, x(edges[at + 1]) - x(edges[at]) - 1), y: y(value), height: bottom - y(value),
    }) : null)),
    outline ? s("path", { class: "outline", d: outline }) : null,
    s("path", { class: "zero", d: `M${x(0)} 10V${bottom}` }),
    found.map((at) => s("text", { x: x(at), y: bottom + 17, "text-anchor": "middle" }, fixed(at, digits))),
    s("text", { x: (40 + width) / 2, y: height - 4, "text-anchor": "middle" }, "margin of the right choice, nats"),
  );
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** A metric over past runs and this one, with its 95 % interval as a band. */
function trendChart(points) {
  const [width, height, bottom] = [chartWidth(), 190, 156];
  const z = 1.96;
  const known = points.map((point) => ({ ...point, value: number(point.value), reach: z * (number(point.stderr) || 0) })).filter(({ value }) => Number.isFinite(value));
  if (known.length < 2) return null;
  let [low, high] = [Math.min(...known.map((p) => p.value - p.reach)), Math.max(...known.map((p) => p.value + p.reach))];
  const room = (high - low) * 0.08 || Math.abs(high) * 0.05 || 0.05;
  [low, high] = [low - room, high + room];
  const x = scale(0, known.length - 1, 56, width - 16);
  const y = scale(low, high, bottom, 10);
  const { found, digits } = ticks(low, high, 4);
  const line = (value) => known.map((point, at) => `${x(at)} ${y(value(point))}`);
  const band = `M${line((p) => p.value + p.reach).join("L")}L${line((p) => p.value - p.reach).reverse().join("L")}Z`;
  return figure(
    `Trend over ${known.length} runs, from ${known[0].told} to ${known.at(-1).told}`, width, height,
    found.map((at) => [s("path", { class: "grid", d: `M56 ${y(at)}H${width - 16}` }), s("text", { x: 50, y: y(at) + 4, "text-anchor": "end" }, fixed(at, digits))]),
    s("path", { class: "area", d: band }),
    s("path", { class: "line", d: `M${line((p) => p.value).join("L")}` }),
    known.map((point, at) => trendMark(point, x(at), y(point.value))),
    s("text", { x: 56, y: height - 6 }, day(known[0].started)),
    s("text", { x: width - 16, y: height - 6, "text-anchor": "end" }, day(known.at(-1).started)),
  );
}

// Failed runs are squares, the others circles.
function trendMark(point, x, y) {
  const title = s("title", {}, `${day(point.started)}: ${point.told}, ${point.word}${point.commit ? `, commit ${point.commit}` : ""}`);
  if (point.tone === "bad" || point.tone === "warn") return s("rect", { class: `point ${point.tone}`, x: x - 4, y: y - 4, width: 8, height: 8 }, title);
  return s("circle", { class: `point ${point.tone}`, cx: x, cy: y, r: 4 }, title);
}

const day = (seconds) => new Date(number(seconds) * 1000).toISOString().slice(0, 10);
