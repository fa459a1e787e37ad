// A task above its documents: verdict, numbers, charts, slices.

const panel = (title, ...children) => h("section", { class: "panel" }, h("h3", {}, title), children);

function taskHead(details) {
  return h("header", { class: "task-head" },
    h("h1", {}, isolated(details.task)),
    h("p", { class: "reason" }, badge(details.badge), " ", isolated(details.reason)),
    h("p", { class: "line" }, details.facts.map(([name, value]) => [h("span", { class: "fact" }, h("b", {}, value), ` ${name}`), " "])),
    details.source ? h("p", { class: "line" }, isolated(details.source)) : null,
    details.warnings.length ? h("ul", { class: "warnings" }, details.warnings.map((text) => h("li", {}, isolated(text)))) : null,
  );
}

function taskPanels(details, filterSlice) {
  const { account } = details;
  return h("div", { class: "panels" },
    details.score ? panel("Score", scoreChart(details.score), h("p", { class: "caption" }, `${details.score.metric}, ${details.score.higher ? "higher" : "lower"} is better; the bar is its 95 % interval`)) : null,
    details.histogram ? panel("Margins", marginChart(details.histogram), marginLegend(details.histogram)) : null,
    trendPanel(details),
    account?.slices.length ? slicePanel(account, filterSlice) : null,
    details.metrics.length ? h("section", { class: "panel wide" }, h("h3", {}, "Metrics"), h("div", { class: "scrolls" }, metricTable(details.metrics))) : null,
    details.explanation ? explanationPanel(details) : null,
  );
}

function marginLegend({ then }) {
  return h("p", { class: "legend" },
    h("span", { class: "key bar" }), " now, right choice ahead ", h("span", { class: "key bar wrong" }), " now, behind ",
    then.length ? [h("span", { class: "key outline" }), " baseline"] : null);
}

function trendPanel(details) {
  if (!details.trend.length || !details.score) return null;
  const now = { value: details.score.value, stderr: stderrOf(details.score), told: details.score.told, word: details.badge.word, tone: details.badge.tone, ...details.now };
  const chart = trendChart([...details.trend, now]);
  return chart && panel("Trend", chart, h("details", {}, h("summary", {}, "As a table"), trendTable([...details.trend, now])));
}

const stderrOf = ({ value, high }) => (high === null ? null : (number(high) - number(value)) / 1.96);

function trendTable(points) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["Day", "Score", "Verdict", "Commit"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, points.map((point) => h("tr", {}, [day(point.started), point.told, point.word, point.commit ?? "–"].map((text) => h("td", {}, text))))));
}

const METRIC_COLUMNS = [
  ["name", "Metric"], ["value", "Value ± s.e."], ["n", "n"], ["baseline", "Baseline"], ["difference", "Change"],
  ["interval", "95 % interval"], ["p", "p adj"], ["margin", "Margin"], ["detectable", "Detectable"], ["bounds", "Threshold"],
];

function metricTable(metrics) {
  const used = METRIC_COLUMNS.filter(([name]) => metrics.some((metric) => metric[name] !== "–"));
  return h("table", { class: "plain numbers" },
    h("thead", {}, h("tr", {}, used.map(([, title]) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, metrics.map((metric) => h("tr", { class: metric.decisive ? "decisive" : null },
      used.map(([name]) => h(name === "name" ? "th" : "td", name === "name" ? { scope: "row" } : {}, isolated(metric[name].replaceAll("-", name === "name" || name === "bounds" ? "-" : "−"))))))));
}

const FIRST_SLICES = 8;

function slicePanel(account, filterSlice) {
  const largest = Math.max(...account.slices.map(({ difference: size }) => Math.abs(number(size))), 1e-9);
  const body = h("tbody", {}, account.slices.slice(0, FIRST_SLICES).map((part) => sliceRow(part, largest, filterSlice)));
  const rest = account.slices.slice(FIRST_SLICES);
  const more = rest.length ? h("button", { type: "button" }, `Show ${rest.length} more`) : null;
  more?.addEventListener("click", () => {
    body.append(...rest.map((part) => sliceRow(part, largest, filterSlice)));
    more.remove();
  });
  const told = account.even ? "No slice moved more than the others beyond chance." : "Marked slices fell more than the others, beyond chance.";
  return panel("Slices", account.cause ? h("p", {}, h("b", {}, "Likely cause: "), isolated(account.cause)) : null,
    h("div", { class: "scrolls" }, h("table", { class: "plain numbers slices" },
      h("thead", {}, h("tr", {}, ["Slice", "n", "Lost", "Gained", "Change", "", "q"].map((name) => h("th", { scope: "col" }, name)))), body)),
    more, h("p", { class: "caption" }, told, account.leftOut ? ` ${count(account.leftOut)} slices are too small to be tested.` : ""));
}

function sliceRow(part, largest, filterSlice) {
  const button = h("button", { type: "button", class: "link", title: "List these documents" }, isolated(`${part.facet} = ${part.value}`));
  button.addEventListener("click", () => filterSlice(part.facet, part.value));
  return h("tr", { class: part.outstanding ? "outstanding" : null },
    h("th", { scope: "row" }, part.outstanding ? h("span", { class: "bad-text" }, "✗ ") : null, button),
    [count(part.n), count(part.regressed), count(part.improved), part.told.replace("-", "−")].map((text) => h("td", {}, text)),
    h("td", {}, sliceBar(number(part.difference), largest)), h("td", {}, part.q));
}

function sliceBar(size, largest) {
  const length = 28 * Math.min(1, Math.abs(size) / largest);
  return s("svg", { class: "slice", viewBox: "0 0 60 14", "aria-hidden": "true" },
    s("path", { class: "zero", d: "M30 0V14" }),
    s("rect", { class: size < 0 ? "down" : "up", x: size < 0 ? 30 - length : 30, y: 3, width: length, height: 8 }));
}

function explanationPanel(details) {
  return h("section", { class: "panel wide" }, h("details", {}, h("summary", {}, h("h3", {}, "What the terminal says")), textBlock(details.explanation, { className: "text small" }),
    definitions([["test", details.nodeid], ["file", details.place], ...(details.settings ?? [])])));
}
