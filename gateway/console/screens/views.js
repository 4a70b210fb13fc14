// What the service is made of: its kinds of actors, and the views that have no screen of their own.

import { openapi, serves } from "../api.js";
import { collections } from "../commands.js";
import { h, replace } from "../dom.js";
import { go } from "../router.js";
import { latestProjections } from "../sampler.js";
import { section, table } from "../table.js";
import { curl } from "../command_line.js";

const OWN_SCREENS = { customers: "/console/customers", orders: "/console/orders", sales: "/console/statistics" };

export const views = {
  title: () => "Actors and views",
  show(screen) {
    screen.commandLine = curl("GET", "/openapi.json");
    replace(
      screen.body,
      section("Kinds of actors", table("kinds of actors", actorColumns(), [...collections()], "This service has no actors.")),
      section("Open an actor", actorForm()),
      section("Views", viewList()),
      h("p", { class: "muted" }, `Rayleans ${openapi().info.version}`),
    );
  },
};

function actorColumns() {
  return [
    { name: "Collection", cell: ([name]) => (serves(`/v1/${name}`) && OWN_SCREENS[name] ? h("a", { href: OWN_SCREENS[name] }, name) : name) },
    { name: "Commands", cell: ([name, commands]) => commands.map((each, index) => [index ? ", " : "", h("a", { href: `/console/send?collection=${encodeURIComponent(name)}&command=${encodeURIComponent(each.name)}` }, each.name)]) },
  ];
}

function actorForm() {
  const collection = h("select", { id: "collection" }, [...collections().keys()].map((each) => h("option", { value: each }, each)));
  const id = h("input", { id: "actor", type: "search", required: true, autocomplete: "off" });
  const open = (event) => {
    event.preventDefault();
    const own = serves(`/v1/${collection.value}/{}`) && OWN_SCREENS[collection.value];
    go(`${own || `/console/actors/${encodeURIComponent(collection.value)}`}/${encodeURIComponent(id.value.trim())}`);
  };
  return h(
    "form",
    { class: "filters", onsubmit: open },
    h("div", { class: "field" }, h("label", { for: "collection" }, "Collection"), collection),
    h("div", { class: "field wide" }, h("label", { for: "actor" }, "Id"), id),
    h("button", { type: "submit", class: "primary" }, "Open"),
  );
}

function viewList() {
  const known = latestProjections();
  if (!known) return h("p", { class: "muted" }, "Their names are told to those who have the scope admin; any view has the address /console/views/NAME.");
  const columns = [{ name: "View", cell: (each) => h("a", { href: OWN_SCREENS[each.name] ?? `/console/views/${encodeURIComponent(each.name)}` }, each.name) }];
  return table("views", columns, known);
}
