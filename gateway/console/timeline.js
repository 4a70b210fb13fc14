// What happened to one actor: a slider through its states, and its events with what each of them changed.

import { ask, operation, pathOf, serves } from "./api.js";
import { changeTable, changes, asText } from "./diff.js";
import { h, replace } from "./dom.js";
import { json } from "./format.js";
import { keepInAddress } from "./router.js";
import { facts, section } from "./table.js";
import { at, since } from "./when.js";

const PAGE = 50;
const SLIDING_MS = 120;

/** The past of `/v1/{collection}/{id}`. */
export class Timeline {
  constructor(screen, collection, id) {
    this.screen = screen;
    this.path = pathOf("v1", collection, id);
    this.route = `/v1/${collection}/{}`;
    this.events = [];
    this.next = 0;
    this.states = new Map();
    this.element = h("div", {});
    this.list = h("ol", { class: "timeline" });
    this.more = h("button", { type: "button", onclick: () => this.loadMore() }, "Show more events");
    this.slider = h("div", {});
  }

  /** Whether the service tells the past of such actors. */
  get served() {
    return serves(`${this.route}/history`);
  }

  get servesStates() {
    return (operation(this.route)?.parameters ?? []).some((each) => each.name === "as_of_version");
  }

  /** Shows everything up to `version`, the present one of the actor. */
  async show(version) {
    if (!this.served) return replace(this.element, section("History", h("p", { class: "empty" }, "This service does not tell the history of such actors.")));
    if (version !== null && version === this.version) return undefined;
    this.version = version;
    replace(this.element, this.servesStates && version ? section("Through its history", this.slider) : null, section("Events", this.list, this.more));
    if (this.servesStates && version) this.drawSlider(version);
    return this.events.length && this.next !== null ? undefined : this.loadMore();
  }

  async loadMore() {
    if (this.next === null) this.next = this.events.at(-1)?.version ?? 0;
    const page = await ask(`${this.path}/history?after_version=${this.next}&limit=${PAGE}`, { signal: this.screen.signal });
    this.events.push(...page.items);
    this.next = page.next_after_version;
    this.more.hidden = this.next === null;
    this.list.append(...page.items.map((event) => this.item(event)));
    return this.events;
  }

  item(event) {
    const change = h("div", {}, h("p", { class: "muted" }, "loading …"));
    let asked = false;
    const open = async (toggled) => {
      if (!toggled.target.open || asked) return;
      asked = true;
      try {
        const [before, after] = await Promise.all([this.state(event.version - 1), this.state(event.version)]);
        replace(change, changeTable(before, after));
      } catch (error) {
        replace(change, h("p", { class: "notice bad" }, error.message));
      }
    };
    return h(
      "li",
      {},
      h(
        "details",
        { ontoggle: open },
        h("summary", {}, h("span", { class: "version" }, `v${event.version}`), h("strong", {}, event.type), h("span", { class: "muted" }, ` by ${event.by || "?"}, `, since(event.recorded_at))),
        facts([
          ["Recorded", at(event.recorded_at)],
          ["Author", event.by || "?"],
          ["Command", h("a", { href: `/console/commands?id=${encodeURIComponent(event.command_id)}` }, event.command_id)],
          ["Request", event.request_id || "–"],
          ["Place in the log", `partition ${event.partition}, position ${event.position}`],
        ]),
        this.servesStates ? [h("h3", {}, "What it changed"), change] : null,
        h("h3", {}, "Data"),
        h("pre", { tabindex: "0", "aria-label": `data of version ${event.version}` }, json(event.data)),
      ),
    );
  }

  /** The state at a version; null before the first. Old states never change, so each is asked for once. */
  async state(version) {
    if (version < 1) return null;
    if (!this.states.has(version)) {
      this.states.set(version, await ask(`${this.path}?as_of_version=${version}`, { signal: this.screen.signal }));
    }
    return this.states.get(version);
  }

  drawSlider(version) {
    const wanted = Math.min(version, Math.max(1, Number(this.screen.query.get("version")) || version));
    const range = h("input", { id: "version", type: "range", min: 1, max: version, value: wanted, step: 1 });
    const number = h("output", { for: "version" });
    const state = h("div", { "aria-live": "polite" });
    const step = (by) => () => {
      range.value = Number(range.value) + by;
      slide();
    };
    let typing;
    const slide = () => {
      number.textContent = `version ${range.value} of ${version}`;
      const chosen = Number(range.value) === version ? "" : range.value;
      this.screen.query.set("version", chosen);
      keepInAddress({ version: chosen });
      clearTimeout(typing);
      typing = setTimeout(() => this.drawState(state, Number(range.value)), SLIDING_MS);
    };
    range.addEventListener("input", slide);
    replace(
      this.slider,
      h(
        "div",
        { class: "slider" },
        h("button", { type: "button", "aria-label": "one version back", onclick: step(-1) }, "‹"),
        h("label", { class: "hidden-text", for: "version" }, "Version"),
        range,
        h("button", { type: "button", "aria-label": "one version forward", onclick: step(1) }, "›"),
        number,
      ),
      state,
    );
    slide();
  }

  async drawState(place, version) {
    try {
      const [before, now] = await Promise.all([this.state(version - 1), this.state(version)]);
      const changed = new Set(changes(before, now).map((each) => each.field));
      replace(
        place,
        h(
          "dl",
          { class: "facts" },
          Object.entries(now).map(([name, value]) =>
            h("div", { class: changed.has(name) ? "changed" : null }, h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, asText(value))),
          ),
        ),
      );
    } catch (error) {
      if (!this.screen.signal.aborted) replace(place, h("p", { class: "notice bad" }, error.message));
    }
  }
}
