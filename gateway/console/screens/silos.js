// The silos: what they own, what they hold, and how busy they are.

import { ask, serves } from "../api.js";
import { rayleans } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { may } from "../session.js";
import { asText } from "../diff.js";
import { facts, section, table } from "../table.js";
import { at, since } from "../when.js";

const KNOWN = ["name", "node", "pid", "partitions", "epochs", "activations", "queued", "started_at", "takeover", "own_homes", "batches"];

export const silos = {
  title: () => "Silos",
  show(screen) {
    if (!serves("/v1/admin/silos")) return screen.say("This service does not tell about its silos.");
    if (!may("admin")) return screen.say("Your token lacks the scope admin.");
    screen.commandLine = rayleans("silos");
    return screen.repeat(
      () => load(screen),
      (data) => replace(screen.body, draw(data)),
      2,
    );
  },
};

async function load(screen) {
  const [silo, gateways] = await Promise.all([
    ask("/v1/admin/silos", { signal: screen.signal }),
    serves("/v1/admin/gateways") ? ask("/v1/admin/gateways", { signal: screen.signal }) : { items: [] },
  ]);
  return { silos: silo.items, gateways: gateways.items };
}

function draw({ silos: items, gateways }) {
  return [
    table("silos", SILO_COLUMNS, items, "No silo answers."),
    items.map((each) => section(each.name, facts(detailsOf(each)), h("h3", {}, "Epochs of its partitions"), facts(epochsOf(each)), homesOf(each))),
    gateways.length ? section("Gateways", table("gateways", GATEWAY_COLUMNS, gateways)) : null,
  ];
}

const SILO_COLUMNS = [
  { name: "Silo", cell: (each) => each.name },
  { name: "Partitions", number: true, cell: (each) => count(each.partitions.length) },
  { name: "Activations", number: true, cell: (each) => count(each.activations) },
  { name: "Queued", number: true, cell: (each) => count(each.queued) },
  { name: "Process", number: true, cell: (each) => each.pid },
  { name: "Node", cell: (each) => h("code", {}, each.node) },
  { name: "Started", cell: (each) => since(each.started_at) },
  { name: "Took its partitions over", cell: (each) => (each.takeover ? since(each.takeover.at) : "not yet") },
];

const HOME_COLUMNS = [
  { name: "Actor", cell: (each) => `${each.actor} ${each.id}` },
  { name: "Process", number: true, cell: (each) => each.pid },
  { name: "Node", cell: (each) => h("code", {}, each.node) },
];

const GATEWAY_COLUMNS = [
  { name: "Gateway", cell: (each) => each.name },
  { name: "Port", number: true, cell: (each) => each.port },
  { name: "Process", number: true, cell: (each) => each.pid },
  { name: "Node", cell: (each) => h("code", {}, each.node) },
];

function detailsOf(silo) {
  const more = Object.entries(silo).filter(([name]) => !KNOWN.includes(name));
  return [["Started", at(silo.started_at)], ["Last takeover", takeoverOf(silo)], ["Commands in a batch", batchSizes(silo.batches)], ...more.map(([name, value]) => [name.replaceAll("_", " "), value === null ? null : asText(value)])];
}

function takeoverOf({ takeover }) {
  return takeover ? h("span", {}, at(takeover.at), `: ${takeover.why}`) : null;
}

function homesOf({ name, own_homes: homes }) {
  return homes.length ? [h("h3", {}, "Actors in a home of their own"), table(`actors of ${name} in a home of their own`, HOME_COLUMNS, homes)] : null;
}

/** How many of its batches had how many commands: `1: 20 %, up to 8: 80 %`. */
function batchSizes(batches = {}) {
  const all = Object.values(batches).reduce((sum, each) => sum + each, 0);
  const parts = Object.entries(batches).filter(([, number]) => number > 0);
  const share = (number) => `${Math.round((100 * number) / all)} %`;
  return parts.map(([size, number]) => `${size === "1" ? "1" : `up to ${size}`}: ${share(number)}`).join(", ") || null;
}

/** One line for all partitions of an epoch: usually they were taken over together. */
function epochsOf({ epochs }) {
  const together = new Map();
  for (const [partition, epoch] of Object.entries(epochs)) together.set(epoch, [...(together.get(epoch) ?? []), Number(partition)]);
  return [...together].map(([epoch, partitions]) => [`Partition${partitions.length === 1 ? "" : "s"} ${ranges(partitions)}`, String(epoch)]);
}

/** Ascending numbers as people write them: `0–3, 7`. */
function ranges(numbers) {
  const runs = [];
  for (const each of numbers) {
    if (runs.at(-1)?.last === each - 1) runs.at(-1).last = each;
    else runs.push({ first: each, last: each });
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}
