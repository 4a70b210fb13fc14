// Begins: signs in, lays out the frame, and opens the screen of the address.

import { describe, serves, whenSignedOut } from "./api.js";
import { h, prose, replace } from "./dom.js";
import { open, startRouter } from "./router.js";
import { startSampling, stopSampling } from "./sampler.js";
import { Screen } from "./screen.js";
import { ROUTES, SCREENS } from "./screens.js";
import { session, signIn, signInWithCode, signOut } from "./session.js";

const main = h("main", { id: "main", tabindex: "-1" });
const links = h("nav", { "aria-label": "screens" });
const account = h("div", { class: "account" });
let screen = null;

async function begin() {
  let said = null;
  try {
    [said] = await Promise.all([signInWithCode(), describe()]);
  } catch (error) {
    said = error.message;
  }
  whenSignedOut(leave);
  startRouter(ROUTES, showScreen);
  if (session()) enter();
  else leave(said);
}

function enter() {
  replace(
    document.body,
    h("a", { class: "skip", href: "#main", onclick: skip }, "Skip to the screen"),
    h("aside", {}, h("a", { class: "brand", href: "/console" }, brand(), "Rayleans"), links, account),
    main,
  );
  replace(
    account,
    h("span", { title: session().scopes.join(" ") }, session().subject),
    h("button", { type: "button", class: "quiet", onclick: () => leave("Signed out.") }, "Sign out"),
  );
  startSampling();
  open();
}

function leave(said) {
  signOut();
  stopSampling();
  screen?.close();
  screen = null;
  document.title = "Sign in · Rayleans";
  const token = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const problem = h("p", { class: "notice bad", role: "alert", hidden: !said }, prose(said ?? ""));
  const submit = (event) => {
    event.preventDefault();
    try {
      signIn(token.value.trim());
      enter();
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
    }
  };
  replace(
    document.body,
    h(
      "main",
      { class: "sign-in" },
      h("h1", {}, brand(), "Rayleans"),
      problem,
      h(
        "form",
        { onsubmit: submit },
        h("label", { for: "token" }, "Token"),
        token,
        h("button", { type: "submit", class: "primary" }, "Sign in"),
      ),
      h("p", { class: "muted" }, "It stays in the memory of this page and is gone when you close or reload it."),
      h("p", { class: "muted" }, "On the machine of the service, this prints a link that signs you in:"),
      h("pre", {}, "uv run rayleans console"),
    ),
  );
  token.focus();
}

function showScreen(definition, params, query) {
  if (!session()) return;
  screen?.close();
  screen = new Screen(main, params, query);
  replace(links, SCREENS.filter((each) => !each.needs || serves(...each.needs)).map((each) => link(each)));
  if (!definition) {
    screen.title = "Nothing here";
    screen.say("There is no such screen.");
  } else {
    screen.title = definition.title(params);
    definition.show(screen);
  }
  scrollTo(0, 0);
}

function link({ address, name }) {
  const here = address === "/console" ? location.pathname === address : location.pathname.startsWith(address);
  return h("a", { href: address, "aria-current": here ? "page" : null }, name);
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

function brand() {
  return h("img", { src: "/console/files/icon.svg", alt: "", width: "28", height: "28" });
}

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  const search = main.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

begin();
