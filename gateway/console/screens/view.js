// The rows of any view, in the order of their key.

import { ask, pathOf } from "../api.js";
import { curl } from "../command_line.js";
import { asText } from "../diff.js";
import { replace } from "../dom.js";
import { Pages } from "../pages.js";
import { table } from "../table.js";

export const view = {
  title: ({ name }) => `View ${name}`,
  show(screen) {
    screen.above = ["Actors and views", "/console/views"];
    const pages = new Pages(() => screen.refresh());
    const load = () => {
      const path = `${pathOf("v1", "views", screen.params.name)}?limit=50${pages.cursor ? `&cursor=${encodeURIComponent(pages.cursor)}` : ""}`;
      screen.commandLine = curl("GET", path);
      return ask(path, { signal: screen.signal });
    };
    return screen.repeat(load, ({ items, next_cursor: next }) => {
      const names = Object.keys(items[0] ?? {});
      const columns = names.map((name) => ({ name, cell: (row) => asText(row[name]), number: typeof items[0][name] === "number" }));
      replace(screen.body, table(`rows of ${screen.params.name}`, columns, items, "This view has no rows."), pages.buttons(next));
    });
  },
};
