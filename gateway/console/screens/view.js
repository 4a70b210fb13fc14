// The rows of any view, in the order of their key.

import { ask, pathOf } from "../api.js";
import { curl } from "../command_line.js";
import { asText } from "../diff.js";
import { h, replace } from "../dom.js";
import { table } from "../table.js";

export const view = {
  title: ({ name }) => `View ${name}`,
  show(screen) {
    screen.above = ["Actors and views", "/console/views"];
    const cursors = [""];
    const load = () => {
      const path = `${pathOf("v1", "views", screen.params.name)}?limit=50${cursors.at(-1) ? `&cursor=${encodeURIComponent(cursors.at(-1))}` : ""}`;
      screen.commandLine = curl("GET", path);
      return ask(path, { signal: screen.signal });
    };
    const turn = (next) => {
      if (next) cursors.push(next);
      else cursors.pop();
      screen.refresh();
    };
    return screen.repeat(load, ({ items, next_cursor: next }) => {
      const names = Object.keys(items[0] ?? {});
      const columns = names.map((name) => ({ name, cell: (row) => asText(row[name]), number: typeof items[0][name] === "number" }));
      replace(
        screen.body,
        table(`rows of ${screen.params.name}`, columns, items, "This view has no rows."),
        h(
          "div",
          { class: "pages" },
          h("button", { type: "button", id: "previous", disabled: cursors.length === 1, onclick: () => turn(null) }, "‹ Previous"),
          h("button", { type: "button", id: "next", disabled: !next, onclick: () => turn(next) }, "Next ›"),
        ),
      );
    });
  },
};
