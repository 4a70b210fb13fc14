// What happened to this command? By its id, or by the Idempotency-Key it was sent with.

import { ask, pathOf, serves } from "../api.js";
import { curl } from "../command_line.js";
import { h, replace } from "../dom.js";
import { json } from "../format.js";
import { keepInAddress } from "../router.js";
import { problemNotice } from "../screen.js";
import { session } from "../session.js";
import { facts, section } from "../table.js";
import { at, since } from "../when.js";

export const commandStatus = {
  title: () => "What happened to this command?",
  show(screen) {
    if (!serves("/v1/commands/{}")) return screen.say("This service does not look commands up yet.");
    const id = input("id", screen.query.get("id"));
    const key = input("key", screen.query.get("key"));
    const by = input("by", screen.query.get("by") ?? session().subject);
    const answer = h("div", { role: "status" });
    const find = (event) => {
      event?.preventDefault();
      const wanted = id.value.trim() ? { id: id.value.trim() } : { key: key.value, by: by.value };
      keepInAddress(wanted);
      return look(screen, wanted, answer);
    };
    replace(
      screen.body,
      h(
        "form",
        { onsubmit: find },
        h("div", { class: "filters" }, h("div", { class: "field wide" }, h("label", { for: "id" }, "Command id"), id)),
        h("p", { class: "muted" }, "or, without an id,"),
        h(
          "div",
          { class: "filters" },
          h("div", { class: "field wide" }, h("label", { for: "key" }, "Idempotency-Key"), key),
          h("div", { class: "field" }, h("label", { for: "by" }, "of caller"), by),
          h("button", { type: "submit", class: "primary" }, "Find"),
        ),
      ),
      answer,
    );
    screen.commandLine = curl("GET", "/v1/commands/COMMAND-ID");
    return id.value || key.value ? find() : undefined;
  },
};

function input(id, value) {
  return h("input", { id, type: id === "id" ? "search" : "text", autocomplete: "off", spellcheck: "false", value: value ?? "" });
}

async function look(screen, { id, key, by }, answer) {
  const path = id ? pathOf("v1", "commands", id) : `/v1/commands/by-key?${new URLSearchParams({ key, by })}`;
  screen.commandLine = curl("GET", path);
  try {
    const found = await ask(path, { signal: screen.signal });
    screen.arrived();
    replace(answer, draw(found));
  } catch (error) {
    replace(answer, error.code === "command-not-found" ? notThere() : problemNotice(error));
  }
}

function notThere() {
  return h(
    "div",
    { class: "notice warn" },
    h("strong", {}, "It left nothing in the log. "),
    "It never arrived, was rejected, was already true, or is still on its way. Sending it again with the same key is safe in each of these cases.",
  );
}

function draw(found) {
  const address = `/console${["customers", "orders"].includes(found.collection) ? pathOf(found.collection, found.id) : pathOf("actors", found.collection, found.id)}`;
  const [first] = found.events;
  return [
    h("div", { class: "notice good" }, h("strong", {}, "It was done"), ", ", since(first.recorded_at), "."),
    section(
      "Command",
      facts([
        ["Command", found.command],
        ["Actor", h("a", { href: address }, `${found.actor} ${found.id}`)],
        ["Version after it", String(found.version)],
        ["Events", found.events.map((each) => each.type).join(", ")],
        ["Recorded", at(first.recorded_at)],
        ["Author", first.by || "?"],
        ["Request", first.request_id || "–"],
        ["Place in the log", `partition ${first.partition}, position ${first.position}`],
        ["Command id", h("code", {}, found.command_id)],
      ]),
    ),
    section("What was asked for", h("pre", { tabindex: "0", "aria-label": "fields of the command" }, json(found.data))),
    section("What it led to", h("pre", { tabindex: "0", "aria-label": "events of the command" }, json(found.events))),
  ];
}
