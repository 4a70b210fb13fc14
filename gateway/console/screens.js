// All screens: their addresses, and which of them stand in the navigation.

import { actor } from "./screens/actor.js";
import { commandForm } from "./screens/command_form.js";
import { commandStatus } from "./screens/command_status.js";
import { customer } from "./screens/customer.js";
import { customers } from "./screens/customers.js";
import { events } from "./screens/events.js";
import { operations } from "./screens/operations.js";
import { order } from "./screens/order.js";
import { orders } from "./screens/orders.js";
import { overview } from "./screens/overview.js";
import { projection } from "./screens/projection.js";
import { projections } from "./screens/projections.js";
import { silos } from "./screens/silos.js";
import { statistics } from "./screens/statistics.js";
import { view } from "./screens/view.js";
import { views } from "./screens/views.js";

export const ROUTES = [
  ["/console", overview],
  ["/console/customers", customers],
  ["/console/customers/:id", customer],
  ["/console/orders", orders],
  ["/console/orders/:id", order],
  ["/console/actors/:collection/:id", actor],
  ["/console/views", views],
  ["/console/views/:name", view],
  ["/console/statistics", statistics],
  ["/console/events", events],
  ["/console/send", commandForm],
  ["/console/commands", commandStatus],
  ["/console/projections", projections],
  ["/console/projections/:name", projection],
  ["/console/silos", silos],
  ["/console/operations", operations],
];

/** In the navigation; `needs` is the route without which there is nothing to show. */
export const SCREENS = [
  { name: "Overview", address: "/console" },
  { name: "Customers", address: "/console/customers", needs: ["/v1/customers"] },
  { name: "Orders", address: "/console/orders", needs: ["/v1/orders/{}"] },
  { name: "Statistics", address: "/console/statistics", needs: ["/v1/statistics/sales"] },
  { name: "Actors and views", address: "/console/views" },
  { name: "Live events", address: "/console/events" },
  { name: "Send a command", address: "/console/send" },
  { name: "Find a command", address: "/console/commands" },
  { name: "Projections", address: "/console/projections" },
  { name: "Silos", address: "/console/silos" },
  { name: "Operations", address: "/console/operations" },
];
