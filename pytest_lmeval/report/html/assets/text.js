// Texts from models and data sets: what would be invisible, or change how its neighbours read, is spelled.

const FIRST = 4000;
const MORE = 100000;
const MOST_MARKS = 2000;
// Controls but tab and newline, lone surrogates, zero-width and bidirectional characters, private use.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd\ue000-\uf8ff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function spelledCharacter(character) {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** A text on one line, for lists and labels. */
const spelled = (text) => text.replace(HIDDEN, spelledCharacter);

const isolated = (text) => h("bdi", {}, spelled(String(text)));

/** Nodes of a text, with a mark for every hidden character; after many, plain spelling. */
function visibleNodes(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (nodes.length > MOST_MARKS) break;
    nodes.push(text.slice(end, match.index), h("span", { class: "mark", title: "a character that is not shown" }, spelledCharacter(match[0])));
    end = match.index + match[0].length;
  }
  nodes.push(spelled(text.slice(end)));
  return nodes;
}

/** A block of text; of a long one the beginning (or the end), and buttons for the rest. */
function textBlock(text, { fromEnd = false, className = "text" } = {}) {
  const block = h("pre", { class: className, dir: "auto", tabindex: "0" });
  const frame = h("div", { class: "long" }, block);
  let shownLength = Math.min(text.length, text.length <= FIRST * 1.25 ? text.length : FIRST);
  const button = h("button", { type: "button", class: "more" });
  const show = () => {
    const part = fromEnd ? text.slice(text.length - shownLength) : text.slice(0, shownLength);
    block.replaceChildren(...visibleNodes(part));
    const left = text.length - shownLength;
    button.hidden = left === 0;
    button.textContent = left <= MORE ? `Show all (${count(left)} more characters)` : `Show ${count(MORE)} of ${count(left)} more characters`;
  };
  button.addEventListener("click", () => {
    shownLength = Math.min(text.length, shownLength + MORE);
    show();
  });
  show();
  if (text === "") block.append(h("span", { class: "empty" }, "(empty)"));
  frame[fromEnd ? "prepend" : "append"](button);
  return frame;
}

const count = (value) => value.toLocaleString("en-US");

/** A number as it came: infinities and not-a-number are texts in JSON. */
function number(value) {
  if (typeof value !== "string") return value;
  return value === "inf" ? Infinity : value === "-inf" ? -Infinity : NaN;
}

function told(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const plain = number(value);
  if (!Number.isFinite(plain)) return String(value);
  return (Number.isInteger(plain) ? String(plain) : plain.toFixed(digits)).replace("-", "−");
}
