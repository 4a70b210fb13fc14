// A form for a JSON schema: a field for each property; lists and objects are written as JSON.

import { resolve } from "./commands.js";
import { h } from "./dom.js";

/** Fields for the properties of a schema; `value()` reads them, and throws where one cannot be read. */
export function schemaForm(schema, onchange) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => field(name, property, required.has(name), onchange));
  return {
    elements: fields.map((each) => each.element),
    value() {
      const values = {};
      for (const each of fields) {
        const value = each.value();
        if (value !== undefined) values[each.name] = value;
      }
      return values;
    },
  };
}

function field(name, property, required, onchange) {
  const kinds = alternatives(property);
  const id = `field-${name}`;
  const input = inputFor(kinds, id, required);
  input.addEventListener("input", onchange);
  const hints = [kinds.map((each) => each.format ?? each.type).filter(Boolean).join(" or "), required ? "" : "optional"].filter(Boolean);
  return {
    name,
    element: h("div", { class: "field" }, h("label", { for: id }, name, h("span", { class: "muted" }, ` ${hints.join(", ")}`)), input),
    value: () => read(name, input, kinds, required),
  };
}

function inputFor(kinds, id, required) {
  const [kind] = kinds.filter((each) => each.type !== "null");
  if (kind?.enum) return h("select", { id }, required ? null : h("option", { value: "" }, "–"), kind.enum.map((each) => h("option", { value: each }, each)));
  if (kind?.type === "array" || kind?.type === "object") return h("textarea", { id, rows: 4, spellcheck: "false", placeholder: example(kind) });
  const type = kind?.format === "email" ? "email" : "text";
  return h("input", { id, type, required, autocomplete: "off", inputmode: kind?.type === "integer" ? "numeric" : null, placeholder: kind?.format === "date-time" ? "2026-01-31T12:00:00Z" : null });
}

function read(name, input, kinds, required) {
  const text = input.value;
  if (text === "" && !required) return undefined;
  const types = kinds.map((each) => each.type);
  if (text === "null" && types.includes("null")) return null;
  if (types.includes("string")) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${name} must be ${types.filter(Boolean).join(" or ")}`);
  }
}

function alternatives(property) {
  const resolved = resolve(property);
  return (resolved.anyOf ?? resolved.oneOf ?? [resolved]).map(resolve);
}

/** What a list or an object may look like. */
function example(schema) {
  if (schema.type === "array") return `[${example(resolve(schema.items ?? {}))}]`;
  if (schema.type !== "object") return schema.type === "integer" ? "1" : '"…"';
  const parts = Object.entries(schema.properties ?? {}).map(([name, each]) => `"${name}": ${example(alternatives(each)[0])}`);
  return `{${parts.join(", ")}}`;
}
