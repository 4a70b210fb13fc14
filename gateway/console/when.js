// Moments as elements: how long ago goes on counting while it is shown.

import { h } from "./dom.js";
import { ago, time } from "./format.js";

const TICK_MS = 1000;

/** A moment, in UTC. */
export function at(value) {
  return h("time", { datetime: value }, time(value));
}

/** How long ago a moment is; the moment itself is shown when it is pointed at. */
export function since(value) {
  return h("time", { datetime: value, title: time(value), "data-since": true }, ago(value));
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-since]")) {
    const text = ago(element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}, TICK_MS);
