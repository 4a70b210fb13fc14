// Builds the page. Whatever comes from data becomes text or a plain attribute: markup cannot be passed at all.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: `h("a", { href: "/console" }, "Overview")`. A function under `on…` listens to that event. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A sentence of the service as children of an element: what stands in backticks is code. */
export function prose(text) {
  return String(text).split("`").map((part, index, all) => (index % 2 === 0 ? part : index < all.length - 1 ? h("code", {}, part) : `\`${part}`));
}

/** Puts other children into an element. What had the focus keeps it, if its `id` is still there. */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...children.flat(Infinity).filter(isThere));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "href") element.setAttribute("href", ownAddress(value));
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(isThere));
  return element;
}

/** Links lead nowhere but into this service, whatever data say. */
function ownAddress(value) {
  return /^[/#](?!\/)/.test(value) ? value : "#";
}

function isThere(child) {
  return child !== null && child !== undefined && child !== false;
}
