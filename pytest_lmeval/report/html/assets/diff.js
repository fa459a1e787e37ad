// What changed between two texts, by words: the shortest edit (Myers, Algorithmica 1:251, 1986), within bounds.

const MOST_TOKENS = 6000;
const MOST_EDITS = 800;

const words = (text) => text.match(/\s+|[\p{L}\p{M}\p{N}_]+|[^]/gu) ?? [];

/** Pieces `[kind, text]`, kind "same", "old" or "new"; null where the texts are too long or too different. */
function difference(old, now) {
  const [a, b] = [words(old), words(now)];
  if (a.length + b.length > MOST_TOKENS) return null;
  const trace = shortest(a, b);
  return trace === null ? null : merged(pieces(a, b, trace));
}

/** How far each diagonal was reached, for every number of edits. */
function shortest(a, b) {
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const reached = new Map([[1, 0]]);
  const trace = [];
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(new Map(reached));
    for (let k = -edits; k <= edits; k += 2) {
      let x = down(reached, k, edits) ? reached.get(k + 1) : reached.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reached.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace;
    }
  }
  return null;
}

const down = (reached, k, edits) => k === -edits || (k !== edits && reached.get(k - 1) < reached.get(k + 1));

function pieces(a, b, trace) {
  const found = [];
  let [x, y] = [a.length, b.length];
  for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
    const reached = trace[edits];
    const k = x - y;
    const before = down(reached, k, edits) ? k + 1 : k - 1;
    const startX = edits === 0 ? 0 : reached.get(before);
    const startY = edits === 0 ? 0 : startX - before;
    while (x > startX && y > startY) {
      x -= 1;
      y -= 1;
      found.push(["same", a[x]]);
    }
    if (edits === 0) break;
    if (x === startX) found.push(["new", b[startY]]);
    else found.push(["old", a[startX]]);
    [x, y] = [startX, startY];
  }
  return found.reverse();
}

/** Join neighbours; between two equal words what went stands before what came. */
function merged(found) {
  const joined = [];
  let [old, now] = ["", ""];
  const flush = () => {
    if (old) joined.push(["old", old]);
    if (now) joined.push(["new", now]);
    [old, now] = ["", ""];
  };
  for (const [kind, text] of found) {
    if (kind === "old") old += text;
    else if (kind === "new") now += text;
    else {
      flush();
      if (joined.at(-1)?.[0] === "same") joined.at(-1)[1] += text;
      else joined.push(["same", text]);
    }
  }
  flush();
  return joined;
}
