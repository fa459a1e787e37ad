// Which documents are listed, and in which order.

const ORDERS = {
  fall: "Largest fall of margin first",
  gain: "Largest loss of score first",
  index: "Order of the data set",
  margin: "Smallest margin first",
};

const CHANGES = {
  regressed: "Lost", improved: "Gained", "same wrong": "Still wrong", "same right": "Still right", unchanged: "Unchanged",
  "no value": "No value", error: "Error", "no pair": "Not compared",
};
const SIGNS = { regressed: "✗", improved: "✓", "same wrong": "·", "same right": "·", unchanged: "·", "no value": "?", error: "!", "no pair": "○" };
const TONES = { regressed: "bad", improved: "good", "no value": "warn", error: "bad" };

/** The test of everything but the change, so that the changes' counts follow the other filters. */
function matcher(documents, { q, kind, now, slice }) {
  const tests = [];
  const words = (q ?? "").toLowerCase().trim();
  if (kind) tests.push((at) => documents.kind(at) === kind);
  if (now === "right") tests.push((at) => documents.right(at) === true);
  if (now === "wrong") tests.push((at) => documents.right(at) === false);
  if (now === "none") tests.push((at) => documents.right(at) === null);
  if (now === "other") tests.push((at) => documents.then.changed(at) === true);
  if (slice) {
    const [facet, value] = sliceOf(slice);
    const values = documents.facets.get(facet);
    tests.push((at) => values !== undefined && values.at(at) === value);
  }
  if (words) tests.push((at) => documents.haystack(at).includes(words));
  return (at) => tests.every((test) => test(at));
}

const sliceText = (facet, value) => JSON.stringify([facet, value]);

function sliceOf(text) {
  try {
    const pair = JSON.parse(text);
    return Array.isArray(pair) ? pair : [null, null];
  } catch {
    return [null, null];
  }
}

/** The places of the documents that match, in order, and how many of them each change has. */
function select(documents, state) {
  const matches = matcher(documents, state);
  const counts = {};
  const found = [];
  for (let at = 0; at < documents.n; at += 1) {
    if (!matches(at)) continue;
    const change = documents.change(at);
    counts[change] = (counts[change] ?? 0) + 1;
    if (!state.show || state.show === change) found.push(at);
  }
  return { found: ordered(documents, found, state.sort), counts };
}

function ordered(documents, found, order) {
  const keys = {
    fall: (at) => -(documents.fall(at) ?? -Infinity),
    gain: (at) => number(documents.gain(at)) ?? Infinity,
    margin: (at) => number(documents.margin(at)) ?? Infinity,
    index: (at) => documents.index(at),
  };
  const key = keys[order] ?? keys.index;
  const values = new Map(found.map((at) => [at, key(at)]));
  // What has no value comes last; equal ones keep the data set's order.
  return found.sort((a, b) => compare(values.get(a), values.get(b)) || documents.index(a) - documents.index(b));
}

function compare(a, b) {
  if (a === b) return 0;
  if (Number.isNaN(a)) return 1;
  if (Number.isNaN(b)) return -1;
  return a < b ? -1 : 1;
}

/** The order that shows most: by margins where there are any, then by scores. */
function usualOrder(documents) {
  if (!documents.compared) return "index";
  for (let at = 0; at < documents.n; at += 1) if (documents.fall(at) !== null) return "fall";
  return "gain";
}
