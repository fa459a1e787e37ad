// A list of any length: the rows that are seen are in the page, and no others.

const ROW = 62;
const SPARE = 6;

class VirtualList {
  constructor(rowOf, chosen) {
    this.rowOf = rowOf;
    this.chosen = chosen;
    this.found = [];
    this.active = -1;
    this.inner = h("div", { class: "rows" });
    this.element = h("div", {
      class: "list", role: "listbox", tabindex: "0", "aria-label": "Documents",
      on: { scroll: () => this.soon(), keydown: (event) => this.key(event), click: (event) => this.click(event) },
    }, this.inner);
    this.resized = new ResizeObserver(() => this.soon());
    this.resized.observe(this.element);
  }

  show(found, active) {
    this.found = found;
    this.active = active;
    this.inner.style.height = `${found.length * ROW}px`;
    this.draw();
  }

  soon() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW) - SPARE);
    const last = Math.min(this.found.length, Math.ceil((this.element.scrollTop + this.element.clientHeight) / ROW) + SPARE);
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.row(at));
    this.inner.replaceChildren(...rows);
    if (this.active >= first && this.active < last) this.element.setAttribute("aria-activedescendant", `option-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  row(at) {
    const row = this.rowOf(this.found[at]);
    for (const [name, value] of Object.entries({
      id: `option-${at}`, role: "option", "data-at": at, "aria-selected": String(at === this.active),
      "aria-setsize": this.found.length, "aria-posinset": at + 1,
    })) row.setAttribute(name, value);
    row.style.transform = `translateY(${at * ROW}px)`;
    return row;
  }

  /** Choose the row at a place, and bring it into view. */
  choose(at) {
    if (at < 0 || at >= this.found.length) return;
    this.active = at;
    const { scrollTop, clientHeight } = this.element;
    if (at * ROW < scrollTop) this.element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > scrollTop + clientHeight) this.element.scrollTop = (at + 1) * ROW - clientHeight;
    this.draw();
    this.chosen(this.found[at]);
  }

  step(by) {
    this.choose(Math.max(0, Math.min(this.found.length - 1, this.active + by)));
  }

  click(event) {
    const row = event.target.closest("[data-at]");
    if (row !== null) this.choose(Number(row.dataset.at));
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.step(steps[event.key]);
  }
}
