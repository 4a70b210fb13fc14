// Events as they are recorded, with a filter. Pausing holds the list still; what comes meanwhile waits.

import { pathOf, serves } from "../api.js";
import { rayleans } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, json, many } from "../format.js";
import { keepInAddress } from "../router.js";
import { follow } from "../stream.js";
import { at } from "../when.js";

const KEPT = 500;
const DRAW_MS = 200;
const OWN_SCREENS = { customer: "customers", order: "orders" };

export const events = {
  title: () => "Live events",
  show(screen) {
    if (!serves("/v1/events")) return screen.say("This service does not stream events.");
    return new LiveEvents(screen).open();
  },
};

class LiveEvents {
  constructor(screen) {
    this.screen = screen;
    this.from = screen.query.get("from") === "start" ? "start" : "now";
    this.filter = screen.query.get("filter") ?? "";
    this.waiting = [];
    this.kept = [];
    this.seen = 0;
    this.state = h("span", { class: "muted", role: "status" }, "connecting …");
    this.list = h("ol", { class: "events", "aria-label": "events, newest first" });
    this.nothing = h("p", { class: "empty" });
    this.reading = null;
  }

  open() {
    const filter = h("input", { id: "filter", type: "search", value: this.filter, placeholder: "type, id or author", oninput: () => this.change({ filter: filter.value }) });
    const from = h("select", { id: "from", onchange: () => this.change({ from: from.value }) }, [["now", "now"], ["start", "the beginning"]].map(([value, text]) => h("option", { value, selected: value === this.from }, text)));
    replace(
      this.screen.body,
      h(
        "div",
        { class: "filters" },
        h("div", { class: "field wide" }, h("label", { for: "filter" }, "Show only ", h("kbd", {}, "/")), filter),
        h("div", { class: "field" }, h("label", { for: "from" }, "From"), from),
        h("button", { type: "button", onclick: () => this.clear() }, "Clear"),
      ),
      this.state,
      this.nothing,
      this.list,
    );
    const drawing = setInterval(() => this.draw(), DRAW_MS);
    this.screen.whenClosed(() => {
      clearInterval(drawing);
      this.reading?.abort();
    });
    this.screen.whenPaused(() => this.draw());
    this.read();
  }

  change(part) {
    const begins = "from" in part;
    Object.assign(this, part);
    keepInAddress({ from: this.from === "now" ? "" : this.from, filter: this.filter });
    if (begins) {
      this.clear();
      this.read();
    } else {
      this.drawAll();
    }
  }

  clear() {
    this.waiting = [];
    this.kept = [];
    this.drawAll();
  }

  read() {
    this.reading?.abort();
    this.reading = new AbortController();
    this.screen.commandLine = rayleans("events", "tail", ...(this.from === "start" ? ["--from", "start"] : []));
    follow(`/v1/events?from=${this.from}`, {
      signal: this.reading.signal,
      onEvent: (event) => {
        this.seen += 1;
        this.waiting.push(event.data);
        if (this.waiting.length > KEPT) this.waiting.shift();
        this.screen.arrived();
      },
      onState: (state, error) => {
        this.connection = state === "open" ? "connected" : (error?.message ?? "the connection ended; connecting again …");
        this.tell();
      },
    });
  }

  tell() {
    const waiting = this.screen.paused && this.waiting.length ? `, ${count(this.waiting.length)} wait` : "";
    const text = `${this.connection ?? "connecting …"}; ${many(this.seen, "event")}${waiting}`;
    if (this.state.textContent !== text) this.state.textContent = text;
    const why = this.list.children.length ? "" : this.whyNothing();
    if (this.nothing.textContent !== why) this.nothing.textContent = why;
    this.nothing.hidden = why === "";
  }

  whyNothing() {
    if (this.screen.paused) return "Nothing is shown while this is paused.";
    if (this.kept.length) return "None of the events that came fits the filter.";
    return this.from === "start" ? "Waiting for events." : "Waiting for the next event. Those from before are there with From: the beginning.";
  }

  draw() {
    if (!this.screen.paused && this.waiting.length) this.drawFresh();
    this.tell();
  }

  drawFresh() {
    const fresh = this.waiting.reverse();
    this.waiting = [];
    this.kept = [...fresh, ...this.kept].slice(0, KEPT);
    this.list.prepend(...fresh.filter((each) => this.fits(each)).map(item));
    while (this.list.children.length > KEPT) this.list.lastChild.remove();
  }

  drawAll() {
    replace(this.list, this.kept.filter((each) => this.fits(each)).map(item));
    this.tell();
  }

  fits(event) {
    const wanted = this.filter.trim().toLowerCase();
    return !wanted || [event.type, event.actor, event.actor_id, event.by].some((each) => String(each ?? "").toLowerCase().includes(wanted));
  }
}

function item(event) {
  const collection = OWN_SCREENS[event.actor];
  const address = collection ? `/console${pathOf(collection, event.actor_id)}` : `/console${pathOf("actors", `${event.actor}s`, event.actor_id)}`;
  return h(
    "li",
    {},
    h(
      "details",
      {},
      h(
        "summary",
        {},
        at(event.recorded_at),
        h("strong", {}, event.type),
        h("span", { class: "muted" }, ` ${event.actor} ${event.actor_id}, version ${event.version}, by ${event.by || "?"}`),
      ),
      h("p", {}, h("a", { href: address }, `Open ${event.actor} ${event.actor_id}`)),
      h("pre", { tabindex: "0", "aria-label": `event ${event.type}` }, json(event)),
    ),
  );
}
