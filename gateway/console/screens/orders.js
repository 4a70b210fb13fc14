// Orders: found by their id, or from their customer.

import { serves } from "../api.js";
import { curl } from "../command_line.js";
import { h, replace } from "../dom.js";
import { go } from "../router.js";

export const orders = {
  title: () => "Orders",
  show(screen) {
    if (!serves("/v1/orders/{}")) return screen.say("This service does not serve the view orders.");
    screen.commandLine = curl("GET", "/v1/orders/ORDER");
    const id = h("input", { id: "order", type: "search", required: true, pattern: "[A-Za-z0-9._~\\-]{1,64}", autocomplete: "off", spellcheck: "false" });
    const open = (event) => {
      event.preventDefault();
      go(`/console/orders/${encodeURIComponent(id.value.trim())}`);
    };
    return replace(
      screen.body,
      h(
        "form",
        { class: "filters", onsubmit: open },
        h("div", { class: "field wide" }, h("label", { for: "order" }, "Order id"), id),
        h("button", { type: "submit", class: "primary" }, "Open"),
      ),
      h("p", { class: "muted" }, "All orders of one customer stand on the screen of that customer. ", h("a", { href: "/console/customers" }, "Find a customer")),
    );
  },
};
