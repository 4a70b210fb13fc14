// All projections: how far they are, and how fast.

import { ask, pathOf, serves } from "../api.js";
import { rayleans } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, duration, many, rate } from "../format.js";
import { may } from "../session.js";
import { badge, table } from "../table.js";

export const projections = {
  title: () => "Projections",
  show(screen) {
    if (!serves("/v1/admin/projections")) return screen.say("This service does not tell about its projections.");
    if (!may("admin")) return screen.say("Your token lacks the scope admin.");
    screen.commandLine = rayleans("projections", "list");
    return screen.repeat(
      () => ask("/v1/admin/projections", { signal: screen.signal }),
      ({ items }) => replace(screen.body, table("projections", COLUMNS, items, "This service has no projections.")),
      2,
    );
  },
};

const COLUMNS = [
  { name: "Name", cell: (each) => h("a", { href: `/console${pathOf("projections", each.name)}` }, each.name) },
  { name: "State", cell: (each) => [badge(each.state), each.rebuild ? " rebuilding" : ""] },
  { name: "Lag", number: true, cell: (each) => many(each.lag.events, "event") },
  { name: "Behind", number: true, cell: (each) => duration(each.lag.seconds) },
  { name: "Events / s", number: true, cell: (each) => rate(each.events_per_s) },
  { name: "Parked", number: true, cell: (each) => count(each.parked) },
  { name: "Version", number: true, cell: (each) => each.version },
  { name: "Process", number: true, cell: (each) => each.pid ?? "–" },
  { name: "Error", cell: (each) => each.error ?? "" },
];
