// The documents of a task: filters above, a list, and the one that is looked at.

const STATE = ["show", "kind", "now", "slice", "q", "sort", "doc"];

class Explorer {
  constructor(name, documents) {
    this.name = name;
    this.documents = documents;
    this.usual = usualOrder(documents);
    this.state = this.read(route());
    this.list = new VirtualList((at) => this.row(at), (at) => this.open(at));
    this.detail = h("article", { class: "detail", tabindex: "-1", "aria-label": "Document" });
    this.count = h("p", { class: "matches", role: "status", "aria-live": "polite" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Change since the baseline" });
    this.element = h("section", { class: "explorer", "aria-label": "Documents" }, h("h2", {}, "Documents"), this.filters(), this.chips,
      h("div", { class: "bench" }, h("div", { class: "side" }, this.count, this.list.element), this.detail));
    this.apply();
  }

  read(parts) {
    return { sort: this.usual, ...Object.fromEntries(STATE.map((name) => [name, parts[name] ?? ""]).filter(([, value]) => value !== "")) };
  }

  address() {
    const { sort, ...others } = this.state;
    return { task: this.name, ...others, sort: sort === this.usual ? "" : sort };
  }

  /** What the address says, after a step back or a followed link. */
  follow(parts) {
    this.state = this.read(parts);
    for (const [name, control] of Object.entries(this.controls)) control.value = this.state[name] ?? "";
    this.apply();
  }

  set(changes) {
    this.state = { ...this.state, ...changes };
    for (const name of Object.keys(changes)) if (this.controls[name]) this.controls[name].value = this.state[name] ?? "";
    replaceRoute(this.address());
    this.apply();
  }

  filters() {
    const search = h("input", { type: "search", id: "search", placeholder: "Prompt, answer, target", autocomplete: "off", spellcheck: "false", value: this.state.q ?? "" });
    let waiting;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.set({ q: search.value }), 120);
    });
    this.controls = { q: search };
    const orders = Object.entries(ORDERS).filter(([name]) => this.documents.compared || name === "index" || name === "margin");
    return h("div", { class: "filters" },
      h("label", { class: "search" }, h("span", {}, "Search ", h("kbd", {}, "/")), search),
      this.choice("now", "Answer", [["", "any"], ["right", "right now"], ["wrong", "wrong now"], ["none", "neither"], ...(this.documents.compared ? [["other", "another than before"]] : [])]),
      this.choice("kind", "Kind of loss", [["", "any"], ...distinct(this.documents.n, this.documents.kind).map((kind) => [kind, kind])]),
      this.choice("slice", "Slice", [["", "all"], ...slices(this.documents)]),
      this.choice("sort", "Order", orders));
  }

  choice(name, label, options) {
    if (options.length < 2) return null;
    const control = h("select", {}, options.map(([value, text]) => h("option", { value, selected: value === (this.state[name] ?? "") }, text)));
    control.addEventListener("change", () => this.set({ [name]: control.value }));
    this.controls[name] = control;
    return h("label", {}, h("span", {}, label), control);
  }

  apply() {
    const { found, counts } = select(this.documents, this.state);
    this.found = found;
    this.drawChips(counts);
    const told = `${count(found.length)} of ${count(this.documents.n)} documents`;
    this.count.textContent = found.length ? told : `${told}: no document matches`;
    const wanted = this.documents.byIndex.get(Number(this.state.doc));
    const chosen = this.state.doc === undefined || this.state.doc === "" ? undefined : wanted;
    const active = chosen === undefined ? -1 : found.indexOf(chosen);
    this.list.element.scrollTop = Math.max(0, (active - 2) * ROW);
    this.list.show(found, active);
    if (chosen === undefined) this.none();
    else this.draw(chosen);
  }

  drawChips(counts) {
    const total = sum(Object.values(counts));
    const names = Object.keys(CHANGES).filter((name) => counts[name] || this.state.show === name);
    if (names.length < 2 && !this.state.show) return this.chips.replaceChildren();
    const focused = this.chips.contains(document.activeElement) ? document.activeElement.dataset.show : undefined;
    this.chips.replaceChildren(...[["", "All", total], ...names.map((name) => [name, CHANGES[name], counts[name] ?? 0])].map(([name, text, n]) => {
      const chip = h("button", { type: "button", class: `chip ${TONES[name] ?? ""}`, "data-show": name, "aria-pressed": String((this.state.show ?? "") === name) },
        name && SIGNS[name] !== "·" ? `${SIGNS[name]} ` : null, text, h("span", { class: "n" }, ` ${count(n)}`));
      chip.addEventListener("click", () => this.set({ show: name }));
      return chip;
    }));
    if (focused !== undefined) this.chips.querySelector(`[data-show="${focused}"]`)?.focus();
    return undefined;
  }

  row(at) {
    const documents = this.documents;
    const change = documents.change(at);
    const fall = documents.fall(at);
    const right = documents.right(at);
    const prompt = spelled(documents.prompt(at).slice(0, 300)).replace(/\s+/g, " ").trim();
    return h("div", { class: "row" },
      h("div", { class: "row-head" }, h("span", { class: `change ${TONES[change] ?? ""}` }, `${SIGNS[change]} ${change === "no pair" && right !== null ? (right ? "Right" : "Wrong") : CHANGES[change]}`),
        h("span", { class: "index" }, `#${documents.index(at)}`), h("span", { class: "fall" }, fall === null ? "" : `${fall > 0 ? "▼" : "▲"} ${told(Math.abs(fall), 2)}`)),
      h("div", { class: "row-text", dir: "auto" }, prompt.slice(0, 160)));
  }

  open(at) {
    this.state = { ...this.state, doc: String(this.documents.index(at)) };
    replaceRoute(this.address());
    this.draw(at);
    announce(`Document ${this.documents.index(at)}, ${CHANGES[this.documents.change(at)]}`);
  }

  none() {
    this.element.classList.remove("opened");
    this.detail.replaceChildren(h("p", { class: "empty" }, "Choose a document from the list. ", h("kbd", {}, "j"), " and ", h("kbd", {}, "k"), " go to the next and the previous one."));
  }

  draw(at) {
    this.element.classList.add("opened");
    const place = this.found.indexOf(at);
    const close = h("button", { type: "button", class: "close", on: { click: () => this.close() } }, "← List");
    const step = (by, text, key) => h("button", { type: "button", title: `key ${key}`, disabled: place + by < 0 || place + by >= this.found.length, on: { click: () => this.step(by) } }, text);
    this.detail.replaceChildren(...[
      h("div", { class: "detail-head" }, close, h("h3", {}, `Document ${this.documents.index(at)}`),
        h("span", { class: "steps" }, step(-1, "Previous", "k"), step(1, "Next", "j"))),
      ...documentDetail(this.documents, at, () => addressOf(this.address())).flat(),
    ].filter(Boolean));
    this.detail.scrollTop = 0;
  }

  step(by) {
    if (this.list.active < 0) this.list.choose(0);
    else this.list.step(by);
  }

  close() {
    this.set({ doc: "" });
    this.list.element.focus();
  }
}

function distinct(n, valueOf) {
  const found = new Set();
  for (let at = 0; at < n; at += 1) if (valueOf(at) !== null) found.add(valueOf(at));
  return [...found].sort();
}

const MOST_SLICES = 300;

function slices(documents) {
  const options = [];
  for (const [facet, { at: valueAt }] of documents.facets) {
    const values = distinct(documents.n, valueAt);
    if (values.length > 1 && values.length <= MOST_SLICES) options.push(...values.map((value) => [sliceText(facet, value), spelled(`${facet} = ${value}`).slice(0, 80)]));
  }
  return options;
}
