// What changed between two states.

import { h } from "./dom.js";
import { table } from "./table.js";

/** The fields that differ: a list of `{ field, before, after }`; what is not there is undefined. */
export function changes(before, after) {
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return fields
    .map((field) => ({ field, before: before?.[field], after: after?.[field] }))
    .filter((each) => JSON.stringify(each.before) !== JSON.stringify(each.after));
}

/** The changes as a table. */
export function changeTable(before, after) {
  const columns = [
    { name: "Field", cell: (each) => each.field },
    { name: "Before", cell: (each) => h("span", { class: "before" }, asText(each.before)) },
    { name: "After", cell: (each) => h("span", { class: "after" }, asText(each.after)) },
  ];
  return table("what changed", columns, changes(before, after), "Nothing that the view shows.");
}

/** A value as people read it, in one line. */
export function asText(value) {
  if (value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
