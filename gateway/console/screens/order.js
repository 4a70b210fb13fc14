// One order: its lines, and how it came to be so.

import { ask, pathOf } from "../api.js";
import { rayleans } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, json, money } from "../format.js";
import { badge, facts, section, table } from "../table.js";
import { Timeline } from "../timeline.js";
import { at, since } from "../when.js";
import { whereLives } from "../where.js";

export const order = {
  title: ({ id }) => `Order ${id}`,
  show(screen) {
    const { id } = screen.params;
    screen.above = ["Orders", "/console/orders"];
    screen.commandLine = `${rayleans("order", "show", id)}\n${rayleans("order", "history", id)}`;
    const state = h("div", {});
    const timeline = new Timeline(screen, "orders", id);
    replace(screen.body, state, timeline.element);
    return screen.repeat(
      () => ask(pathOf("v1", "orders", id), { signal: screen.signal }),
      async (found) => {
        await timeline.show(found.version);
        replace(state, draw(found, await whereLives("orders", id, timeline.events[0], screen.signal)));
      },
    );
  },
};

function draw(found, where) {
  return [
    section(
      "Now",
      facts([
        ["Customer", h("a", { href: `/console${pathOf("customers", found.customer_id)}` }, found.customer_id)],
        ["Status", badge(found.status)],
        ["Total", money(found.total, found.currency)],
        ["Ordered", [at(found.ordered_at), " (", since(found.ordered_at), ")"]],
        ["Version", count(found.version)],
        ["Lives in", where],
      ]),
      h("p", {}, h("a", { class: "button", href: `/console/send?collection=orders&id=${encodeURIComponent(found.id)}` }, "Send a command")),
      h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0", "aria-label": "raw JSON" }, json(found))),
    ),
    section("Lines", lineTable(found)),
  ];
}

function lineTable({ lines, currency }) {
  const columns = [
    { name: "Article", cell: (each) => each.sku },
    { name: "Quantity", number: true, cell: (each) => count(each.quantity) },
    { name: "Price", number: true, cell: (each) => money(each.unit_price, currency) },
    { name: "Sum", number: true, cell: (each) => money(each.quantity * each.unit_price, currency) },
  ];
  return table("lines of this order", columns, lines, "No lines yet.");
}
