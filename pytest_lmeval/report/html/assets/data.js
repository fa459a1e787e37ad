// What the page holds: chunks of gzipped JSON, read when they are needed, kept once read.

const kept = new Map();

class TooOld extends Error {}

/** The value of a chunk, null where there is none of that name. */
function chunk(name) {
  if (!kept.has(name)) kept.set(name, read(name));
  return kept.get(name);
}

async function read(name) {
  const element = byId(name);
  if (element === null) return null;
  if (typeof DecompressionStream === "undefined") throw new TooOld();
  const stream = new Blob([bytes(element.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function bytes(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const array = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) array[at] = text.charCodeAt(at);
  return array;
}

/** A function that gives the value of a column at a place. */
function column(packed) {
  if (packed === null || packed === undefined) return () => null;
  if (Array.isArray(packed)) return (at) => packed[at];
  return (at) => packed.of[packed.at[at]];
}

/** The documents of a task: a function per column, by the names that the columns have. */
class Documents {
  constructor(data) {
    this.n = data.n;
    this.facets = mapped(data.facets);
    this.scores = mapped(data.scores);
    this.compared = data.then !== null;
    const then = data.then ?? { scores: {} };
    this.then = { scores: mapped(then.scores) };
    for (const name of ["index", "margin", "answer", "extracted", "choice", "flaw", "compared", "changed"]) this.then[name] = column(then[name]);
    for (const name of NAMES) this[name] = column(data[name]);
    this.target = this.among(data.target);
    this.answer = this.among(data.answer);
    this.places = column(data.examples.places);
    this.parts = data.examples.parts;
    this.byIndex = new Map(data.index.map((index, at) => [index, at]));
    this.haystacks = new Array(data.n);
  }

  // A number stands for one of the choices.
  among(packed) {
    const values = column(packed);
    return (at) => (typeof values(at) === "number" ? this.choices(at)[values(at)] : values(at));
  }

  examples(at) {
    return this.places(at).map((place) => this.parts[place]).join("");
  }

  /** The choice that was taken before, as its text; null where that is unknown. */
  oldAnswer(at) {
    const choice = this.then.choice(at);
    const choices = this.choices(at);
    return choices.length && choice !== null ? choices[choice] ?? null : this.then.answer(at);
  }

  fall(at) {
    const [then, now] = [number(this.then.margin(at)), number(this.margin(at))];
    return Number.isFinite(then) && Number.isFinite(now) && then !== null && now !== null ? then - now : null;
  }

  haystack(at) {
    this.haystacks[at] ??= [this.index(at), this.prompt(at), this.answer(at), this.target(at), this.extracted(at), this.error(at), this.then.answer(at)]
      .filter((text) => text !== null).join("\n").toLowerCase();
    return this.haystacks[at];
  }
}

const NAMES = ["index", "change", "kind", "right", "gain", "prompt", "choices", "logprobs", "extracted", "error", "cluster",
  "choice", "margin", "flaw", "document_hash", "prompt_hash", "target_hash"];

function mapped(columns) {
  return new Map(Object.entries(columns).map(([name, packed]) => [name, { at: column(packed), packed }]));
}

const opened = new Map();

/** The documents of a task, null where the run kept none. */
async function documentsOf(place) {
  if (!opened.has(place)) {
    const data = await chunk(`documents-${place}`);
    opened.set(place, data === null ? null : new Documents(data));
  }
  return opened.get(place);
}
