// One projection: why it stands, rebuild, pause, and what is parked.

import { ask, command, pathOf, serves } from "../api.js";
import { rayleans } from "../command_line.js";
import { confirmed } from "../confirm.js";
import { h, replace } from "../dom.js";
import { count, duration, json, many, rate } from "../format.js";
import { may } from "../session.js";
import { problemNotice } from "../screen.js";
import { badge, facts, section } from "../table.js";
import { since } from "../when.js";

const ORDERS = {
  rebuild: "A new version is built beside this one from the beginning of the log. This one serves until then.",
  pause: "It stops where it is. Queries go on with what it has, and get older.",
  resume: "It goes on from where it stopped.",
  accept: "The new version is served from now on, although its rows differ from those served now.",
  "take-back": "The rebuild is given up; or, when none is under way, the version before this one is served again.",
  "drop-kept": "The version before this one is dropped for ever; it cannot be taken back any more.",
};

const DECISIONS = {
  park: "The event is set aside, and so is everything behind it of the same row. All other rows go on.",
  retry: "The event is folded again, and then what waits behind it. Do this after the cause is removed.",
  skip: "The event is left out of this view for ever. What waits behind it is folded without it.",
};

export const projection = {
  title: ({ name }) => `Projection ${name}`,
  show(screen) {
    screen.above = ["Projections", "/console/projections"];
    if (!serves("/v1/admin/projections")) return screen.say("This service does not tell about its projections.");
    if (!may("admin")) return screen.say("Your token lacks the scope admin.");
    screen.commandLine = rayleans("projections", "show", screen.params.name);
    const steering = new Steering(screen);
    return screen.repeat(
      () => steering.load(),
      (data) => steering.draw(data),
      2,
    );
  },
};

class Steering {
  constructor(screen) {
    this.screen = screen;
    this.name = screen.params.name;
    this.route = "/v1/admin/projections/{}";
  }

  async load() {
    const [{ items }, parked] = await Promise.all([
      ask("/v1/admin/projections", { signal: this.screen.signal }),
      serves(`${this.route}/parked`) ? ask(`${pathOf("v1", "admin", "projections", this.name)}/parked`, { signal: this.screen.signal }) : { items: null },
    ]);
    return { status: items.find((each) => each.name === this.name) ?? null, parked: parked.items };
  }

  draw({ status, parked }) {
    if (!status) return this.screen.say("There is no such projection.");
    const open = new Set([...this.screen.body.querySelectorAll("details[open]")].map((each) => each.id));
    replace(this.screen.body, this.trouble(status), this.now(status), this.rebuild(status), parked === null ? null : this.parked(parked), checkpoint(status));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    return undefined;
  }

  trouble(status) {
    if (!status.error) return null;
    const at = status.stopped_at;
    return h(
      "div",
      { class: "notice bad" },
      h("strong", {}, "It does not move: "),
      status.error,
      at ? h("div", {}, `It stands in front of ${at.type}, version ${at.version} of ${at.stream} (partition ${at.partition}, position ${at.position}).`) : null,
    );
  }

  now(status) {
    return section(
      "Now",
      facts([
        ["State", badge(status.state)],
        ["Lag", `${many(status.lag.events, "event")}, ${duration(status.lag.seconds)}`],
        ["Events a second", rate(status.events_per_s)],
        ["Version", String(status.version)],
        ["Process", status.pid === null ? "–" : String(status.pid)],
        ["Parked events", "parked" in status ? count(status.parked) : undefined],
        ["Can be taken back", "kept" in status ? (status.kept === null ? "nothing" : `version ${status.kept}`) : undefined],
      ]),
      h("div", { class: "buttons" }, this.orders(status).map((order) => this.button(order, ORDERS[order], `/${order}`, order === "resume" ? null : this.name))),
    );
  }

  orders(status) {
    const wanted = [
      status.rebuild ? null : "rebuild",
      status.state === "paused" ? "resume" : "pause",
      status.rebuild?.error ? "accept" : null,
      status.rebuild || status.kept ? "take-back" : null,
      status.kept ? "drop-kept" : null,
    ];
    return wanted.filter((order) => order !== null).filter((order) => serves(`${this.route}/${order}`, "post"));
  }

  rebuild({ rebuild }) {
    if (!rebuild) return null;
    const all = rebuild.events + rebuild.missing;
    return section(
      `Rebuild of version ${rebuild.version}`,
      h("progress", { max: Math.max(1, all), value: rebuild.events, "aria-label": "progress of the rebuild" }),
      facts([
        ["Progress", `${count(rebuild.events)} of ${count(all)} events`],
        ["Rate", `${rate(rebuild.events_per_s)} events/s`],
        ["Time left", rebuild.seconds_left === null ? "–" : duration(rebuild.seconds_left)],
        ["Processes", count(rebuild.runners)],
        ["Trouble", rebuild.error ?? undefined],
      ]),
    );
  }

  parked(items) {
    return section(
      "Events that are not in the view",
      items.length === 0 ? h("p", { class: "empty" }, "Nothing is parked.") : h("ol", { class: "events" }, items.map((each) => this.parkedEvent(each))),
    );
  }

  parkedEvent(event) {
    const { id, type, state, error, ...rest } = event;
    const decisions = state === "stopped" ? ["retry", "park", "skip"] : state === "skipped" ? [] : ["retry", "skip"];
    const served = decisions.filter((each) => serves(`${this.route}/parked/{}/${each}`, "post"));
    return h(
      "li",
      {},
      h(
        "details",
        { id: `parked-${id}` },
        h("summary", {}, badge(state ?? "parked"), h("strong", {}, ` ${type}`), h("span", { class: "muted" }, ` ${rest.stream ?? ""}, `, rest.since ? since(rest.since) : "")),
        h("p", { class: error ? "notice bad" : "muted" }, error ?? "It waits behind another event of its row."),
        h("pre", { tabindex: "0", "aria-label": `parked event ${id}` }, json(event)),
        h("div", { class: "buttons" }, served.map((each) => this.button(each, DECISIONS[each], `/parked/${id}/${each}`, each === "skip" ? `skip ${id}` : null))),
      ),
    );
  }

  /** A button for an order; `name` has to be typed first, null where nothing can be lost. */
  button(order, text, path, name) {
    const address = `${pathOf("v1", "admin", "projections", this.name)}${path}`;
    const place = h("span", { role: "alert" });
    const send = () => command(address);
    const press = async () => {
      try {
        if (name === null) await send();
        else await confirmed({ title: `${capital(order)} ${this.name}`, text, name, button: capital(order) }, send);
        await this.screen.refresh();
      } catch (error) {
        replace(place, problemNotice(error));
      }
    };
    return [h("button", { type: "button", title: text, class: order === "skip" ? "danger" : null, id: `${order}${path}`.replace(/\W+/g, "-"), onclick: press }, capital(order)), place];
  }
}

function checkpoint({ checkpoint: positions }) {
  const places = Object.entries(positions).map(([partition, position]) => [`Partition ${partition}`, count(position)]);
  return h("details", { id: "checkpoint" }, h("summary", {}, "Checkpoint"), facts(places));
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1).replace("-", " ");
}
