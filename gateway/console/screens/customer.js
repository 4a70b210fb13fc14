// One customer: state, orders, and how it came to be so.

import { ask, pathOf, serves } from "../api.js";
import { rayleans } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, json, money } from "../format.js";
import { badge, facts, section, table } from "../table.js";
import { Timeline } from "../timeline.js";
import { at, since } from "../when.js";
import { whereLives } from "../where.js";

export const customer = {
  title: ({ id }) => `Customer ${id}`,
  show(screen) {
    const { id } = screen.params;
    screen.above = ["Customers", "/console/customers"];
    screen.commandLine = `${rayleans("customer", "show", id)}\n${rayleans("customer", "history", id)}`;
    const state = h("div", {});
    const timeline = new Timeline(screen, "customers", id);
    replace(screen.body, state, timeline.element);
    return screen.repeat(
      () => load(screen, id),
      async (data) => {
        await timeline.show(data.customer.version);
        replace(state, draw(data, await whereLives("customers", id, timeline.events[0], screen.signal)));
      },
    );
  },
};

async function load(screen, id) {
  const path = pathOf("v1", "customers", id);
  const [found, orders] = await Promise.all([
    ask(path, { signal: screen.signal }),
    serves("/v1/customers/{}/orders") ? ask(`${path}/orders?limit=20`, { signal: screen.signal }) : null,
  ]);
  return { customer: found, orders };
}

function draw({ customer: found, orders }, where) {
  return [
    section(
      "Now",
      facts([
        ["Name", found.name],
        ["Email", found.email],
        ["Status", badge(found.status)],
        ["Credit limit", found.credit_limit === null ? "none" : money(found.credit_limit)],
        ["Version", count(found.version)],
        ["Registered", [at(found.registered_at), " (", since(found.registered_at), ")"]],
        ["Changed", [at(found.updated_at), " (", since(found.updated_at), ")"]],
        ["Lives in", where],
      ]),
      h("p", {}, h("a", { class: "button", href: `/console/send?collection=customers&id=${encodeURIComponent(found.id)}` }, "Send a command")),
      h("details", {}, h("summary", {}, "Raw JSON"), h("pre", { tabindex: "0", "aria-label": "raw JSON" }, json(found))),
    ),
    orders ? section("Orders", orderTable(orders)) : null,
  ];
}

function orderTable({ items, next_cursor: next }) {
  const columns = [
    { name: "Order", cell: (each) => h("a", { href: `/console${pathOf("orders", each.id)}` }, each.id) },
    { name: "Status", cell: (each) => badge(each.status) },
    { name: "Total", number: true, cell: (each) => money(each.total, each.currency) },
    { name: "Ordered", cell: (each) => at(each.ordered_at) },
  ];
  return [table("orders of this customer", columns, items, "No orders yet."), next ? h("p", { class: "muted" }, "The latest 20 are shown.") : null];
}
