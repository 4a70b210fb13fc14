// Asks before something that cannot simply be undone: the name has to be typed.

import { h, replace } from "./dom.js";
import { problemNotice } from "./screen.js";

/**
 * Opens a dialog; `act()` runs when `name` was typed and the button pressed. Resolves to what it gave, or to null when
 * nothing was done.
 */
export function confirmed({ title, text, name, button }, act) {
  return new Promise((resolve) => {
    const typed = h("input", { id: "typed", autocomplete: "off", spellcheck: "false", oninput: () => check() });
    const go = h("button", { type: "submit", class: "danger", disabled: true }, button);
    const problem = h("div", { role: "alert" });
    const check = () => {
      go.disabled = typed.value !== name;
    };
    let done = null;
    const submit = async (event) => {
      event.preventDefault();
      if (typed.value !== name) return;
      go.disabled = true;
      try {
        done = await act();
        dialog.close();
      } catch (error) {
        replace(problem, problemNotice(error));
        check();
      }
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": "confirm-title", onclose: () => finish() },
      h(
        "form",
        { onsubmit: submit },
        h("h2", { id: "confirm-title" }, title),
        h("p", {}, text),
        h("div", { class: "field" }, h("label", { for: "typed" }, "To go on, type ", h("strong", {}, name)), typed),
        problem,
        h("div", { class: "dialog-buttons" }, h("button", { type: "button", onclick: () => dialog.close() }, "Leave it"), go),
      ),
    );
    const finish = () => {
      dialog.remove();
      resolve(done);
    };
    document.body.append(dialog);
    dialog.showModal();
    typed.focus();
  });
}
