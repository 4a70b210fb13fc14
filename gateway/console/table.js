// Tables and lists of facts.

import { h } from "./dom.js";

/**
 * A table. Columns are `{ name, cell(item), number?, sort?, sorted?, onsort? }`; `cell` gives text or an element.
 */
export function table(caption, columns, items, nothing = "There is nothing here.") {
  if (items.length === 0) return h("p", { class: "empty" }, nothing);
  return h(
    "div",
    { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden-text" }, caption),
      h("thead", {}, h("tr", {}, columns.map(heading))),
      h("tbody", {}, items.map((item) => h("tr", {}, columns.map((column) => cellOf(column, item))))),
    ),
  );
}

function heading(column) {
  const order = { up: "ascending", down: "descending" }[column.sorted];
  const content = column.onsort
    ? h(
        "button",
        { type: "button", class: "sort", id: `sort-${column.name.toLowerCase()}`, onclick: column.onsort },
        column.name,
        column.sorted === "up" ? " ↑" : column.sorted === "down" ? " ↓" : "",
      )
    : column.name;
  return h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": order }, content);
}

function cellOf(column, item) {
  return h("td", { class: column.number ? "number" : null }, column.cell(item) ?? "");
}

/** Names and values below each other; pairs without a value are left out. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? "–"))),
  );
}

/** A word in a coloured frame; the word says it too, not the colour alone. */
export function badge(word) {
  const kinds = {
    good: ["active", "running", "ready", "shipped", "placed", "ok"],
    warn: ["rebuilding", "paused", "open", "parked", "waiting"],
    bad: ["failed", "stopped", "cancelled", "not ready", "skipped"],
  };
  const kind = Object.keys(kinds).find((each) => kinds[each].includes(word)) ?? "plain";
  return h("span", { class: `badge ${kind}` }, word);
}

export function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), ...children);
}
