// Elements. Text only ever becomes a text node: nothing that came from a model or a data set is parsed.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);
const s = (tag, properties = {}, ...children) => fill(document.createElementNS(SVG, tag), properties, children);
const byId = (id) => document.getElementById(id);

/** Say something to screen readers, and to nobody else. */
function announce(text) {
  byId("said").textContent = text;
}

function badge({ word, tone, sign }) {
  return h("span", { class: `badge ${tone}` }, h("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}

function definitions(pairs) {
  return h("dl", {}, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, isolated(value))]));
}

/** Copy, and say so on the button. */
function copyButton(label, textOf) {
  const button = h("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    const done = await copied(textOf());
    button.textContent = done ? "Copied" : "Not copied";
    announce(button.textContent);
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page from a file may lack the clipboard; the older way needs a selection.
    const area = h("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
