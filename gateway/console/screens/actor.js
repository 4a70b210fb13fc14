// One actor of any kind: what happened to it. Customers and orders have screens of their own.

import { curl } from "../command_line.js";
import { pathOf } from "../api.js";
import { h, replace } from "../dom.js";
import { facts, section } from "../table.js";
import { Timeline } from "../timeline.js";
import { whereLives } from "../where.js";

export const actor = {
  title: ({ collection, id }) => `${id} of ${collection}`,
  show(screen) {
    const { collection, id } = screen.params;
    screen.above = ["Actors and views", "/console/views"];
    screen.commandLine = curl("GET", `${pathOf("v1", collection, id)}/history`);
    const state = h("div", {});
    const timeline = new Timeline(screen, collection, id);
    replace(screen.body, state, timeline.element);
    return screen.repeat(
      async () => {
        await timeline.show(null);
        return { events: timeline.events.length, where: timeline.events[0] };
      },
      async ({ where }) => {
        const send = `/console/send?collection=${encodeURIComponent(collection)}&id=${encodeURIComponent(id)}`;
        replace(
          state,
          section("Actor", facts([["Kind", collection], ["Id", id], ["Lives in", await whereLives(collection, id, where, screen.signal)]]), h("p", {}, h("a", { class: "button", href: send }, "Send a command"))),
        );
      },
    );
  },
};
