// Lists that come page by page.

import { h } from "./dom.js";

/** Where in a list somebody is. `turned` is called after each step to another page. */
export class Pages {
  constructor(turned, cursor = "") {
    this._turned = turned;
    // The beginnings of the pages up to this one; an address leads to one page and knows of the first.
    this._beginnings = cursor ? ["", cursor] : [""];
  }

  /** Where the page begins; empty for the first one. */
  get cursor() {
    return this._beginnings.at(-1);
  }

  /** The list is another one now. */
  restart() {
    this._beginnings = [""];
  }

  /** What stands below a page; `next` is where the one after it begins. A second click while that loads does nothing. */
  buttons(next) {
    const here = this._beginnings;
    const to = (beginnings) => () => {
      if (this._beginnings !== here) return;
      this._beginnings = beginnings;
      this._turned();
    };
    return h(
      "div",
      { class: "pages" },
      h("button", { type: "button", id: "previous", disabled: here.length === 1, onclick: to(here.slice(0, -1)) }, "‹ Previous"),
      h("button", { type: "button", id: "next", disabled: !next, onclick: to([...here, next]) }, "Next ›"),
    );
  }
}
