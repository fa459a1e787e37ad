// One document: how it was asked, what came back now and then.

const block = (title, ...children) => h("section", { class: "part" }, h("h4", {}, title), children);

function documentDetail(documents, at, address) {
  const examples = documents.examples(at);
  return [
    h("p", { class: "outcome" }, outcome(documents, at)),
    documents.error(at) === null ? null : block("Error", textBlock(documents.error(at))),
    block("Prompt", examples ? h("details", {}, h("summary", {}, `Instructions and examples before it (${count(examples.length)} characters)`), lazily(() => textBlock(examples))) : null,
      textBlock(documents.prompt(at), { fromEnd: true })),
    documents.choices(at).length ? choicesBlock(documents, at) : answerBlock(documents, at),
    scoresBlock(documents, at),
    block("About this document", definitions(aboutDocument(documents, at)), copyButton("Copy link", () => new URL(address(), location.href).href)),
  ];
}

/** Built when it is looked at: examples of a hundred thousand characters are not, mostly. */
function lazily(build) {
  const place = h("div", {});
  new IntersectionObserver(([entry], observer) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    place.append(build());
  }).observe(place);
  place.style.minHeight = "1px";
  return place;
}

function outcome(documents, at) {
  const change = documents.change(at);
  const right = documents.right(at);
  const fall = documents.fall(at);
  const kind = documents.kind(at);
  const flaw = documents.flaw(at);
  return [
    h("span", { class: `badge ${TONES[change] ?? "plain"}` }, h("span", { "aria-hidden": "true" }, SIGNS[change]), ` ${CHANGES[change]}`), " ",
    right === null ? null : h("span", { class: "fact" }, right ? "right now" : "wrong now"), " ",
    kind !== null && kind !== "wrong" ? h("span", { class: "fact" }, `lost as: ${kind}`) : null, " ",
    flaw !== null && flaw !== kind ? h("span", { class: "fact" }, flaw) : null, " ",
    fall === null ? null : h("span", { class: "fact" }, `margin ${told(documents.then.margin(at))} → ${told(documents.margin(at))} nats`),
  ];
}

function choicesBlock(documents, at) {
  const choices = documents.choices(at);
  const logprobs = documents.logprobs(at).map(number);
  const known = logprobs.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const length = (value) => (Number.isFinite(value) ? 12 + 88 * (high > low ? (value - low) / (high - low) : 1) : 0);
  const rows = choices.map((choice, place) => h("tr", {},
    h("th", { scope: "row" }, textBlock(choice, { className: "text choice" }), tags(documents, at, place)),
    h("td", { class: "bars" }, place < logprobs.length ? s("svg", { class: "choice", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      s("rect", { class: documents.choice(at) === place ? "bar now" : "bar", width: length(logprobs[place]), height: 10 })) : null),
    h("td", {}, place < logprobs.length ? told(logprobs[place], 2) : "–")));
  const target = documents.target(at);
  return block("Choices", h("table", { class: "plain numbers choices" },
    h("thead", {}, h("tr", {}, ["Choice", "", "Log-probability, nats"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)),
    choices.includes(target) ? null : h("p", {}, "Expected: ", isolated(target)),
    h("p", { class: "caption" }, "The longer the bar, the more probable; bars span from the least to the most probable choice."));
}

function tags(documents, at, place) {
  const found = [];
  if (documents.choices(at)[place] === documents.target(at)) found.push(["good", "✓ expected"]);
  if (documents.choice(at) === place) found.push(["plain", "● chosen now"]);
  if (documents.then.choice(at) === place) found.push(["plain", "○ chosen before"]);
  return h("span", { class: "tags" }, found.map(([tone, text]) => [h("span", { class: `tag ${tone}` }, text), " "]));
}

function answerBlock(documents, at) {
  const [old, now] = [documents.then.answer(at), documents.answer(at)];
  return [
    block("Expected", textBlock(documents.target(at))),
    block("Found in the answer", h("dl", {}, old === null && documents.then.extracted(at) === null ? null : extracted("before", documents.then.extracted(at)), extracted("now", documents.extracted(at)))),
    old === null || documents.error(at) !== null ? null : block("Answer, before and now", comparison(old, now, documents.then.compared(at))),
    documents.error(at) !== null ? null : old === null ? block("Answer", textBlock(now))
      : block("Answer now", textBlock(now)),
  ];
}

const extracted = (when, text) => [h("dt", {}, when), h("dd", {}, text === null ? h("span", { class: "empty" }, "the whole answer") : textBlock(text, { className: "text small" }))];

/** The word diff. Of an old answer that was longer, the recorded beginning is compared with as much of the new one. */
function comparison(old, now, compared) {
  const part = compared === null ? now : now.slice(0, compared);
  const note = compared === null ? null : h("p", { class: "caption" }, "Baselines keep the first 200 bytes of an answer: as much of both is compared.");
  if (part === old) return [h("p", { class: "same" }, compared === null ? "The same text." : "The same, as far as it was recorded."), note];
  const found = part.length + old.length > 60000 ? null : difference(old, part);
  if (found === null) return [h("p", {}, "Too different to be compared word by word. Before:"), textBlock(old), note];
  const tag = { same: "span", old: "del", new: "ins" };
  return [h("pre", { class: "text diff", dir: "auto", tabindex: "0" }, found.map(([kind, text]) => h(tag[kind], {}, visibleNodes(text)))),
    h("p", { class: "legend" }, h("del", {}, "before only"), " ", h("ins", {}, "now only")), note];
}

function scoresBlock(documents, at) {
  const names = [...new Set([...documents.scores.keys(), ...documents.then.scores.keys()])];
  const cells = names.map((name) => [name, documents.then.scores.get(name)?.at(at) ?? null, documents.scores.get(name)?.at(at) ?? null]).filter(([, then, now]) => then !== null || now !== null);
  if (documents.margin(at) !== null) cells.push(["margin, nats", documents.then.margin(at), documents.margin(at)]);
  if (!cells.length) return null;
  return block("Scores", h("table", { class: "plain numbers" },
    h("thead", {}, h("tr", {}, ["Metric", documents.compared ? "Before" : null, "Now"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, cells.map(([name, then, now]) => h("tr", {}, h("th", { scope: "row" }, isolated(name)), documents.compared ? h("td", {}, told(then, 4)) : null, h("td", {}, told(now, 4)))))));
}

function aboutDocument(documents, at) {
  const facets = [...documents.facets].map(([name, { at: value }]) => [name, value(at)]).filter(([, value]) => value !== null);
  const before = documents.then.index(at);
  return [
    ["index", String(documents.index(at))],
    ...(before !== null && before !== documents.index(at) ? [["index in the baseline", String(before)]] : []),
    ...facets,
    ...(documents.cluster(at) === null ? [] : [["cluster", documents.cluster(at)]]),
    ["document hash", documents.document_hash(at)], ["prompt hash", documents.prompt_hash(at)], ["target hash", documents.target_hash(at)],
  ];
}
