// Customers: search, filter, sort, page by page.

import { ask, pathOf, serves } from "../api.js";
import { curl } from "../command_line.js";
import { h, replace } from "../dom.js";
import { count, money } from "../format.js";
import { Pages } from "../pages.js";
import { keepInAddress } from "../router.js";
import { badge, table } from "../table.js";
import { at } from "../when.js";

const TYPING_MS = 200;

export const customers = {
  title: () => "Customers",
  show(screen) {
    if (!serves("/v1/customers")) return screen.say("This service does not serve the view customers.");
    return new Customers(screen).open();
  },
};

class Customers {
  constructor(screen) {
    const query = screen.query;
    this.screen = screen;
    this.filter = { search: query.get("search") ?? "", status: query.get("status") ?? "", sort: query.get("sort") ?? "name" };
    this.pages = new Pages(() => this.reload(), query.get("cursor") ?? "");
    this.results = h("div", {});
  }

  open() {
    const search = h("input", { id: "search", type: "search", value: this.filter.search, placeholder: "name or email", oninput: () => this.type(search.value) });
    const status = select("status", "Status", [["", "any status"], ["active", "active"], ["inactive", "inactive"]], this.filter.status, (value) => this.change({ status: value }));
    const label = h("label", { for: "search" }, "Search ", h("kbd", {}, "/"));
    replace(this.screen.body, h("div", { class: "filters" }, h("div", { class: "field wide" }, label, search), status), this.results);
    return this.screen.repeat(() => this.load(), (page) => this.draw(page), 5);
  }

  type(text) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.change({ search: text.trim() }), TYPING_MS);
  }

  change(part) {
    this.filter = { ...this.filter, ...part };
    this.pages.restart();
    this.reload();
  }

  reload() {
    keepInAddress({ ...this.filter, sort: this.filter.sort === "name" ? "" : this.filter.sort, cursor: this.pages.cursor });
    this.screen.refresh();
  }

  async load() {
    const wanted = { ...this.filter, cursor: this.pages.cursor, limit: "50" };
    const path = `/v1/customers?${new URLSearchParams(Object.entries(wanted).filter(([, value]) => value))}`;
    this.screen.commandLine = curl("GET", path);
    return ask(path, { signal: this.screen.signal });
  }

  draw({ items, next_cursor: next }) {
    const sorted = (field) => (this.filter.sort === field ? "up" : this.filter.sort === `-${field}` ? "down" : null);
    const sort = (field) => () => this.change({ sort: sorted(field) === "up" ? `-${field}` : field });
    const columns = [
      { name: "Name", cell: (each) => h("a", { href: `/console${pathOf("customers", each.id)}` }, each.name), sorted: sorted("name"), onsort: sort("name") },
      { name: "Id", cell: (each) => h("code", {}, each.id) },
      { name: "Email", cell: (each) => each.email },
      { name: "Status", cell: (each) => badge(each.status) },
      { name: "Credit limit", number: true, cell: (each) => (each.credit_limit === null ? "none" : money(each.credit_limit)) },
      { name: "Version", number: true, cell: (each) => count(each.version) },
      { name: "Registered", cell: (each) => at(each.registered_at), sorted: sorted("registered_at"), onsort: sort("registered_at") },
    ];
    replace(this.results, table("customers", columns, items, "No customer fits."), this.pages.buttons(next));
  }
}

function select(id, name, options, value, onchange) {
  const element = h("select", { id, onchange: () => onchange(element.value) }, options.map(([each, text]) => h("option", { value: each, selected: each === value }, text)));
  return h("div", { class: "field" }, h("label", { for: id }, name), element);
}
