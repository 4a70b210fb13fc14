// The frame of every screen: title, age of its data, pause, and the command line that shows the same.

import { h, prose, replace } from "./dom.js";
import { duration } from "./format.js";

const TICK_MS = 1000;

/** One screen that is open. It ends with `close`; whatever still loads then is dropped. */
export class Screen {
  constructor(place, params, query) {
    this.params = params;
    this.query = query;
    this.body = h("div", { class: "body" });
    this._place = place;
    this._closing = new AbortController();
    this._loadedAt = null;
    this._paused = false;
    this._shown = undefined;
    this._work = null;
    this._run = 0;
    this._timers = [];
    this._onClose = [];
    this.signal = this._closing.signal;
    this._build();
  }

  /** The heading; `above` leads back to the screen that this one belongs to: `[text, address]`. */
  set title(text) {
    document.title = `${text} · Rayleans`;
    replace(this._heading, text);
  }

  set above([text, address]) {
    replace(this._above, h("a", { href: address }, `‹ ${text}`));
  }

  /** What to type in a shell to see the same. */
  set commandLine(text) {
    this._command = text;
    this._copyButton.hidden = false;
    if (!this._commandPanel.hidden) this._showCommand();
  }

  /**
   * Loads and draws now, and again every few seconds unless it is paused. Draws only what has changed. Data are as old
   * as their `at` says, else they are new.
   */
  repeat(load, draw, everyS = 3) {
    this._work = async () => {
      const run = ++this._run;
      const isOld = () => this.signal.aborted || run !== this._run;
      try {
        const data = await load();
        if (isOld()) return;
        this._loadedAt = data?.at ?? Date.now();
        this._fail(null);
        const shown = JSON.stringify(data);
        if (shown !== this._shown) {
          this._shown = shown;
          await draw(data);
        }
      } catch (error) {
        if (isOld()) return;
        this._fail(error);
      }
      this._tick();
      this._next = setTimeout(() => this._again(), everyS * 1000);
    };
    this._pauseButton.hidden = false;
    return this._work();
  }

  /** Loads and draws again at once, also while it is paused. */
  async refresh() {
    if (!this._work) return;
    clearTimeout(this._next);
    this._shown = undefined;
    await this._work();
  }

  /** The data of the screen came by another way, just now. */
  arrived() {
    this._loadedAt = Date.now();
    this._tick();
  }

  /** Says in words why there is nothing here. */
  say(...text) {
    replace(this.body, h("p", { class: "empty" }, ...text));
  }

  get paused() {
    return this._paused;
  }

  /** `listener(paused)` after each change; the pause button is there from now on. */
  whenPaused(listener) {
    this._onPause = listener;
    this._pauseButton.hidden = false;
  }

  whenClosed(listener) {
    this._onClose.push(listener);
  }

  close() {
    this._closing.abort();
    clearTimeout(this._next);
    for (const timer of this._timers) clearInterval(timer);
    for (const listener of this._onClose) listener();
  }

  _build() {
    this._heading = h("h1", { tabindex: "-1" });
    this._above = h("div", { class: "above" });
    this._age = h("span", { class: "age" });
    this._pauseButton = h("button", { type: "button", id: "pause", hidden: true, onclick: () => this._toggle() }, "Pause");
    this._copyButton = h(
      "button",
      { type: "button", id: "copy", hidden: true, "aria-expanded": "false", onclick: () => this._toggleCommand() },
      "Copy as command line",
    );
    this._commandPanel = h("div", { class: "command-panel", hidden: true });
    this._notice = h("div", { role: "alert" });
    replace(
      this._place,
      h(
        "header",
        { class: "screen-head" },
        h("div", {}, this._above, this._heading),
        h("div", { class: "screen-tools" }, this._age, this._pauseButton, this._copyButton),
      ),
      this._commandPanel,
      this._notice,
      this.body,
    );
    this._timers.push(setInterval(() => this._tick(), TICK_MS));
  }

  _again() {
    if (!this._paused && !document.hidden) return this._work();
    this._next = setTimeout(() => this._again(), TICK_MS);
    return undefined;
  }

  _toggle() {
    this._paused = !this._paused;
    this._pauseButton.textContent = this._paused ? "Resume" : "Pause";
    this._tick();
    this._onPause?.(this._paused);
    if (!this._paused) this.refresh();
  }

  _tick() {
    const age = this._loadedAt === null ? "" : `data from ${oldness(this._loadedAt)}`;
    const text = this._paused ? `paused${age ? `, ${age}` : ""}` : age;
    if (this._age.textContent !== text) this._age.textContent = text;
    this._age.classList.toggle("old", this._loadedAt !== null && Date.now() - this._loadedAt > 15_000);
  }

  _fail(error) {
    if (!error) return replace(this._notice);
    return replace(this._notice, problemNotice(error));
  }

  async _toggleCommand() {
    this._commandPanel.hidden = !this._commandPanel.hidden;
    this._copyButton.setAttribute("aria-expanded", String(!this._commandPanel.hidden));
    if (this._commandPanel.hidden) return;
    this._showCommand();
    const copied = await copy(this._command);
    if (copied) this._commandPanel.append(h("span", { class: "muted", role: "status" }, "copied"));
  }

  _showCommand() {
    replace(this._commandPanel, h("pre", { tabindex: "0", "aria-label": "command line" }, this._command));
  }
}

/** A problem as people read it. */
export function problemNotice(error) {
  const code = error.code ? ` (${error.code})` : "";
  const lines = (error.errors ?? []).filter((each) => each.detail !== error.message).map((each) => h("li", {}, `${each.pointer}: `, prose(each.detail)));
  return h(
    "div",
    { class: "notice bad" },
    h("strong", {}, error.status ? `${error.status}${code} ` : ""),
    prose(error.message),
    lines.length ? h("ul", {}, lines) : null,
    error.requestId ? h("div", { class: "muted" }, `request ${error.requestId}`) : null,
  );
}

/** Whether the text is in the clipboard now; some browsers allow it only on a safe address. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function oldness(at) {
  const seconds = Math.floor((Date.now() - at) / 1000);
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}
