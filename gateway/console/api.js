// Talks to the API of the gateway that sent this page.

import { session, signOut } from "./session.js";

/** An answer that is not 2xx: what the problem document says. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `status ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.requestId = body.request_id ?? "";
    this.errors = body.errors ?? [];
    this.body = body;
  }
}

let onSignedOut = () => {};
let description = null;

/** Called when the service does not accept the token any more. */
export function whenSignedOut(listener) {
  onSignedOut = listener;
}

/** The JSON of a query. */
export async function ask(path, { signal } = {}) {
  const response = await send(path, { signal });
  return response.json();
}

/** A text, such as the metrics. */
export async function askText(path, { signal } = {}) {
  const response = await send(path, { signal });
  return response.text();
}

/** Sends a command; returns the JSON and the headers of the answer. */
export async function command(path, body, headers = {}) {
  const sent = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await send(path, {
    method: "POST",
    headers: { ...sent, ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { body: text ? JSON.parse(text) : null, replayed: response.headers.get("Idempotency-Replayed") === "true" };
}

/** A response with its token in the header, checked. */
export async function send(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers: { ...headers, Authorization: `Bearer ${session()?.token ?? ""}` },
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "the service does not answer", code: "unreachable" });
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await readProblem(response));
  if (response.status === 401 && session()) {
    signOut();
    onSignedOut(problem.message);
  }
  throw problem;
}

async function readProblem(response) {
  try {
    return await response.json();
  } catch {
    return { detail: response.statusText || `status ${response.status}` };
  }
}

/** Reads what the service serves; the other functions below look there. */
export async function describe() {
  const response = await fetch("/openapi.json", { cache: "no-cache" });
  if (!response.ok) throw new Problem(response.status, await readProblem(response));
  description = await response.json();
}

export function openapi() {
  return description;
}

/** Whether there is a route: `serves("/v1/customers/{}/history")`; names of parameters do not matter. */
export function serves(path, method = "get") {
  return operation(path, method) !== undefined;
}

/** The description of a route, or undefined. */
export function operation(path, method = "get") {
  const wanted = withoutNames(path);
  const found = Object.entries(description?.paths ?? {}).find(([each]) => withoutNames(each) === wanted);
  return found?.[1][method];
}

function withoutNames(path) {
  return path.replace(/\{[^}]*\}/g, "{}");
}

/** A path with its parts made safe: `pathOf("v1", "customers", id)`. */
export function pathOf(...parts) {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}
