// What operators did: who asked for what, and when.

import { ask, pathOf, serves } from "../api.js";
import { curl } from "../command_line.js";
import { h, replace } from "../dom.js";
import { may } from "../session.js";
import { table } from "../table.js";
import { at } from "../when.js";

const PATH = "/v1/admin/operations";

export const operations = {
  title: () => "Operations",
  show(screen) {
    if (!serves(PATH)) return screen.say("This service does not tell what operators did.");
    if (!may("admin")) return screen.say("Your token lacks the scope admin.");
    screen.commandLine = curl("GET", PATH);
    return screen.repeat(
      () => load(screen),
      ({ items }) =>
        replace(
          screen.body,
          h("p", { class: "muted" }, "Orders as they were given; one that could not be carried out stands here too."),
          table("operations, newest first", COLUMNS, items.reverse(), "No operator has done anything yet."),
        ),
      5,
    );
  },
};

const COLUMNS = [
  { name: "When", cell: (each) => at(each.recorded_at) },
  { name: "Who", cell: (each) => each.by },
  { name: "Asked for", cell: (each) => each.data.action },
  { name: "Of", cell: (each) => target(each.data.target) },
  { name: "Request", cell: (each) => h("code", {}, each.request_id) },
];

async function load(screen) {
  const items = [];
  let after = 0;
  do {
    const page = await ask(`${PATH}?after_version=${after}&limit=200`, { signal: screen.signal });
    items.push(...page.items);
    after = page.next_after_version;
  } while (after !== null);
  return { items };
}

function target(text) {
  const [kind, name] = text.split("/");
  return kind === "projection" ? h("a", { href: `/console${pathOf("projections", name)}` }, text) : text;
}
