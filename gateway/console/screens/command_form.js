// Send any command: a form made from its schema, and the curl that does the same.

import { command, pathOf } from "../api.js";
import { curl } from "../command_line.js";
import { collections } from "../commands.js";
import { h, prose, replace } from "../dom.js";
import { json } from "../format.js";
import { keepInAddress } from "../router.js";
import { schemaForm } from "../schema_form.js";
import { problemNotice } from "../screen.js";
import { may } from "../session.js";
import { section } from "../table.js";

export const commandForm = {
  title: () => "Send a command",
  show(screen) {
    const all = collections();
    if (all.size === 0) return screen.say("This service takes no commands.");
    return new CommandForm(screen, all).open();
  },
};

class CommandForm {
  constructor(screen, all) {
    this.screen = screen;
    this.all = all;
    const wanted = screen.query.get("collection");
    this.collection = choice("collection", "Kind of actor", [...all.keys()], wanted, () => this.pickCollection());
    this.id = h("input", { id: "actor", required: true, autocomplete: "off", spellcheck: "false", value: screen.query.get("id") ?? "", oninput: () => this.tell() });
    this.key = h("input", { id: "key", autocomplete: "off", spellcheck: "false", value: crypto.randomUUID?.() ?? "", oninput: () => this.tell() });
    this.version = h("input", { id: "expected", inputmode: "numeric", pattern: "[0-9]*", autocomplete: "off", oninput: () => this.tell() });
    this.commandPlace = h("div", {});
    this.fields = h("div", { class: "fields" });
    this.about = h("p", { class: "muted" });
    this.line = h("pre", { tabindex: "0", "aria-label": "the same as a command line" });
    this.answer = h("div", { role: "status" });
  }

  open() {
    replace(
      this.screen.body,
      may("commands:write") ? null : h("p", { class: "notice warn" }, "Your token lacks the scope commands:write; sending will be refused."),
      h(
        "form",
        { class: "command-form", onsubmit: (event) => this.send(event) },
        h("div", { class: "filters" }, this.collection.element, this.commandPlace, h("div", { class: "field wide" }, h("label", { for: "actor" }, "Id of the actor"), this.id)),
        this.about,
        this.fields,
        h(
          "details",
          {},
          h("summary", {}, "Exactly once, and at which version"),
          h("div", { class: "filters" }, h("div", { class: "field wide" }, h("label", { for: "key" }, "Idempotency-Key"), this.key), h("div", { class: "field" }, h("label", { for: "expected" }, "Expected version"), this.version)),
        ),
        h("button", { type: "submit", class: "primary", id: "send" }, "Send"),
      ),
      this.answer,
      section("The same as a command line", this.line),
    );
    this.pickCollection(this.screen.query.get("command"));
  }

  pickCollection(wanted = null) {
    this.command = choice("command", "Command", this.all.get(this.collection.value()).map((each) => each.name), wanted, () => this.pickCommand());
    replace(this.commandPlace, this.command.element);
    this.pickCommand();
  }

  pickCommand() {
    const { schema, about } = this.all.get(this.collection.value()).find((each) => each.name === this.command.value());
    this.form = schemaForm(schema, () => this.tell());
    replace(this.fields, this.form.elements);
    replace(this.about, prose(about));
    this.tell();
  }

  tell() {
    keepInAddress({ collection: this.collection.value(), command: this.command.value(), id: this.id.value });
    try {
      const { path, body, headers } = this.request();
      this.line.textContent = curl("POST", path, body, headers);
    } catch (error) {
      this.line.textContent = `# ${error.message}`;
    }
    this.screen.commandLine = this.line.textContent;
  }

  request() {
    const headers = {};
    if (this.key.value) headers["Idempotency-Key"] = this.key.value;
    if (this.version.value) headers[this.version.value === "0" ? "If-None-Match" : "If-Match"] = this.version.value === "0" ? "*" : `"${this.version.value}"`;
    return { path: pathOf("v1", this.collection.value(), this.id.value.trim() || "ID", this.command.value()), body: this.form.value(), headers };
  }

  async send(event) {
    event.preventDefault();
    replace(this.answer, h("p", { class: "muted" }, "sending …"));
    try {
      const { path, body, headers } = this.request();
      const { body: receipt, replayed } = await command(path, body, headers);
      replace(this.answer, this.receipt(receipt, replayed));
    } catch (error) {
      replace(this.answer, problemNotice(error));
    }
  }

  receipt(receipt, replayed) {
    const events = receipt.events.map((each) => each.type).join(", ") || "nothing, it was already so";
    const address = ["customers", "orders"].includes(this.collection.value()) ? `/console${pathOf(this.collection.value(), receipt.id)}` : `/console${pathOf("actors", this.collection.value(), receipt.id)}`;
    const again = () => {
      this.key.value = crypto.randomUUID?.() ?? "";
      this.tell();
    };
    again();
    return h(
      "div",
      { class: "notice good" },
      h("strong", {}, replayed ? "Was done before. " : "Done. "),
      `Version ${receipt.version}: ${events}. `,
      h("a", { href: address }, "Open the actor"),
      h("details", {}, h("summary", {}, "Receipt"), h("pre", { tabindex: "0", "aria-label": "receipt" }, json(receipt))),
    );
  }
}

function choice(id, name, options, wanted, onchange) {
  const element = h("select", { id, onchange }, options.map((each) => h("option", { value: each, selected: each === wanted }, each)));
  return { element: h("div", { class: "field" }, h("label", { for: id }, name), element), value: () => element.value };
}
