// Every screen is a URL below /console.

let routes = [];
let show = () => {};

/** Begins: `table` is a list of `[pattern, screen]`, `:name` in a pattern matches one part. */
export function startRouter(table, listener) {
  routes = table;
  show = listener;
  addEventListener("popstate", open);
  document.addEventListener("click", follow);
}

/** Shows the screen of the present address. */
export function open() {
  const parts = location.pathname.replace(/\/+$/, "").split("/").slice(1);
  for (const [pattern, screen] of routes) {
    const params = match(pattern.split("/").slice(1), parts);
    if (params) return show(screen, params, new URLSearchParams(location.search));
  }
  return show(null, {}, new URLSearchParams());
}

export function go(address) {
  history.pushState(null, "", address);
  open();
}

/** Writes filters into the address without opening the screen again. */
export function keepInAddress(values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `${location.pathname}?${query}` : location.pathname);
}

function match(pattern, parts) {
  if (pattern.length !== parts.length) return null;
  const params = {};
  for (const [index, part] of pattern.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = decode(parts[index]);
    else if (part !== parts[index]) return null;
  }
  return params;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (!/^\/console(\/|\?|$)/.test(link.getAttribute("href"))) return;
  event.preventDefault();
  go(link.getAttribute("href"));
}
