// Sales by month or day, and how many customers there are.

import { ask, serves } from "../api.js";
import { barChart } from "../chart.js";
import { curl } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, money } from "../format.js";
import { keepInAddress } from "../router.js";
import { facts, section, table } from "../table.js";

export const statistics = {
  title: () => "Statistics",
  show(screen) {
    if (!serves("/v1/statistics/sales")) return screen.say("This service does not serve the view sales.");
    let by = screen.query.get("by") === "day" ? "day" : "month";
    const figures = h("div", {});
    const choice = h("select", { id: "by", onchange: () => choose() }, ["month", "day"].map((each) => h("option", { value: each, selected: each === by }, each)));
    const choose = () => {
      by = choice.value;
      keepInAddress({ by: by === "month" ? "" : by });
      screen.refresh();
    };
    replace(screen.body, h("div", { class: "filters" }, h("div", { class: "field" }, h("label", { for: "by" }, "Sales by"), choice)), figures);
    return screen.repeat(
      () => load(screen, by),
      (data) => replace(figures, draw(data, by)),
      5,
    );
  },
};

async function load(screen, by) {
  const path = `/v1/statistics/sales?by=${by}`;
  screen.commandLine = curl("GET", path);
  const [sales, customers] = await Promise.all([
    ask(path, { signal: screen.signal }),
    serves("/v1/statistics/customers") ? ask("/v1/statistics/customers", { signal: screen.signal }) : null,
  ]);
  return { items: sales.items, customers };
}

function draw({ items, customers }, by) {
  const currencies = [...new Set(items.map((each) => each.currency))].sort();
  return [
    section(
      "All in all",
      facts([
        ["Customers, active", customers ? count(customers.active) : undefined],
        ["Customers, inactive", customers ? count(customers.inactive) : undefined],
        ["Orders placed", count(sum(items, "orders"))],
        ...currencies.map((each) => [`Total ${each}`, money(sum(items.filter((item) => item.currency === each), "total"), each)]),
      ]),
    ),
    items.length === 0 ? h("p", { class: "empty" }, "No order was placed yet.") : null,
    currencies.map((currency) => ofCurrency(currency, items.filter((each) => each.currency === currency), by)),
  ];
}

function ofCurrency(currency, items, by) {
  const bars = items.map((each) => ({ name: each.period, value: each.total, text: `${money(each.total, currency)}, ${count(each.orders)} orders` }));
  const columns = [
    { name: by === "month" ? "Month" : "Day", cell: (each) => each.period },
    { name: "Orders", number: true, cell: (each) => count(each.orders) },
    { name: "Total", number: true, cell: (each) => money(each.total, currency) },
  ];
  return section(`Sales by ${by}, ${currency}`, barChart(`Sales by ${by} in ${currency}`, bars), table(`sales by ${by} in ${currency}`, columns, items));
}

function sum(items, field) {
  return items.reduce((all, each) => all + each[field], 0);
}
