// The commands that the service takes, from its description.

import { openapi } from "./api.js";

const ROUTE = /^\/v1\/([^/]+)\/\{[^}]+\}\/([^/{]+)$/;

/** `Map(collection → [{ name, schema }])`; the schema is null for a command without fields. */
export function collections() {
  const found = new Map();
  for (const [path, { post }] of Object.entries(openapi()?.paths ?? {})) {
    const [, collection, name] = ROUTE.exec(path) ?? [];
    if (!collection || !post?.requestBody) continue;
    const schema = resolve(post.requestBody.content["application/json"]?.schema ?? {});
    found.set(collection, [...(found.get(collection) ?? []), { name, schema, about: post.description ?? "" }]);
  }
  return found;
}

/** What one actor of a collection is called: `customers` are of the kind `customer`. */
export function kindOf(collection) {
  for (const [path, { post }] of Object.entries(openapi().paths)) {
    const [, found, name] = ROUTE.exec(path) ?? [];
    if (found === collection && post) return post.operationId.slice(0, -name.length - 1);
  }
  return null;
}

/** A schema without references at its top. */
export function resolve(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? resolve(openapi().components.schemas[name] ?? {}) : schema;
}
