// The page: which view is seen, the theme, the keys.

const index = await chunk("index").catch((error) => trouble(error));
let shownTask = null;
let explorer = null;

function trouble(error) {
  const text = error instanceof TooOld
    ? "This browser is too old to unpack the tasks' documents (it lacks DecompressionStream): the table above is all it can show."
    : `The data of this page cannot be read: ${error.message}`;
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
  return null;
}

async function follow() {
  const parts = route();
  const place = parts.task === undefined || index === null ? -1 : index.tasks.findIndex(({ name }) => name === parts.task);
  if (place < 0) return overview();
  if (shownTask === place && explorer !== null) return explorer.follow(parts);
  shownTask = place;
  explorer = null;
  return openTask(place).catch((error) => {
    overview();
    trouble(error);
  });
}

function overview() {
  shownTask = null;
  explorer = null;
  byId("task").hidden = true;
  byId("overview").hidden = false;
  byId("task").replaceChildren();
}

async function openTask(place) {
  const details = await chunk(`task-${place}`);
  if (shownTask !== place) return;
  const { name, documents: kept } = index.tasks[place];
  const waiting = h("p", { class: "empty" }, kept ? "Reading the documents…" : details.members ? "The documents of a group are in its tasks." : "The run kept no documents of this task.");
  byId("task").replaceChildren(
    h("nav", { class: "path", "aria-label": "Where you are" }, h("a", { href: "#" }, "All tasks"), " / ", isolated(details.task)),
    taskHead(details), taskPanels(details, (facet, value) => {
      explorer?.set({ slice: sliceText(facet, value), show: "" });
      explorer?.element.scrollIntoView();
    }), waiting);
  byId("overview").hidden = true;
  byId("task").hidden = false;
  if (route().doc === undefined) scrollTo(0, 0);
  byId("task").focus({ preventScroll: true });
  const documents = await documentsOf(place);
  if (shownTask !== place || documents === null) return;
  explorer = new Explorer(name, documents);
  waiting.replaceWith(explorer.element);
  explorer.follow(route());
  if (route().doc !== undefined) explorer.element.scrollIntoView();
  performance.mark("documents");
}

function themeButton() {
  const button = byId("theme");
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light theme" : "Dark theme"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("lmeval-theme", document.documentElement.dataset.theme); } catch { /* not remembered */ }
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
}

function folds() {
  const buttons = [...document.querySelectorAll("[data-folds]")];
  const draw = () => {
    for (const row of document.querySelectorAll("tr[data-parent]")) row.hidden = folded(row.dataset.parent);
    for (const button of buttons) {
      const open = button.dataset.folded !== "true";
      button.hidden = false;
      button.setAttribute("aria-expanded", String(open));
      button.setAttribute("aria-label", `${open ? "Hide" : "Show"} the tasks of ${button.parentElement.querySelector("a").textContent}`);
      button.textContent = open ? "▾" : "▸";
    }
  };
  // A row is hidden where any group above it is folded.
  const folded = (id) => byId(id).querySelector("[data-folds]")?.dataset.folded === "true" || (byId(id).dataset.parent !== undefined && folded(byId(id).dataset.parent));
  for (const button of buttons) button.addEventListener("click", () => {
    button.dataset.folded = String(button.dataset.folded !== "true");
    draw();
  });
  draw();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || explorer === null) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "j") explorer.step(1);
  else if (event.key === "k") explorer.step(-1);
}

for (const button of document.querySelectorAll("[data-copies]")) {
  button.replaceWith(copyButton(button.textContent, () => byId(button.dataset.copies).textContent));
}
themeButton();
folds();
addEventListener("hashchange", follow);
addEventListener("keydown", keys);
await follow();
performance.mark("ready");
