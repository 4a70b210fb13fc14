// Who is signed in. The token lives in this variable and nowhere else: it is gone with the page.

let current = null;

/** `{ token, subject, scopes, expiresAt }`, or null. */
export function session() {
  return current;
}

export function may(scope) {
  return current !== null && current.scopes.includes(scope);
}

/** Takes a token; what it says is shown, not trusted. Throws when it is none. */
export function signIn(token) {
  const claims = readClaims(token);
  current = {
    token,
    subject: String(claims.sub ?? "?"),
    scopes: String(claims.scope ?? "").split(" ").filter(Boolean),
    expiresAt: Number(claims.exp ?? 0) * 1000,
  };
}

export function signOut() {
  current = null;
}

/** Exchanges the one-time code behind `#` in the address, if there is one. */
export async function signInWithCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("sign-in");
  if (!code) return null;
  history.replaceState(null, "", location.pathname + location.search);
  const response = await fetch("/console/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code }),
  });
  const answer = await response.json();
  if (!response.ok) return answer.detail ?? "the code was not accepted";
  signIn(answer.token);
  return null;
}

function readClaims(token) {
  const parts = token.split(".");
  if (parts.length !== 3) throw new Error("that is no token: it has three parts with a dot between them");
  try {
    const bytes = Uint8Array.from(atob(parts[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error("that is no token: its middle part cannot be read");
  }
}
