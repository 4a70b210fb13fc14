// What to type in a shell to get what a screen shows.

import { shellWord } from "./format.js";

/** A curl for a request; the token is read from its file, so that it stands in no history. */
export function curl(method, path, body, headers = {}) {
  const parts = ["curl -sS"];
  if (method !== "GET") parts.push(`-X ${method}`);
  parts.push(`-H "Authorization: Bearer $(cat .rayleans/token)"`);
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${shellWord(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`-H 'Content-Type: application/json'`, `-d ${shellWord(JSON.stringify(body))}`);
  parts.push(shellWord(location.origin + path));
  return parts.join(" \\\n  ");
}

/** A command of the command line, for this service. */
export function rayleans(...words) {
  const service = location.port === "8700" ? "" : `RAYLEANS_URL=${location.origin} `;
  return `${service}uv run rayleans ${words.map(shellWord).join(" ")}`;
}
