// Asking who somebody is: name and password, or a token, and what was wrong with the last try.

import { h } from "../dom.js";
import { button } from "../parts.js";
import { login } from "../session.js";

let wrong = null, withToken = false, lastName = "";

/// `done()` once somebody is in; `redraw()` when this form is to be shown anew.
export function view(done, redraw) {
  const field = (name, label, type, complete, value = "") => h("label", { class: "field" }, label,
    h("input", { name, type, value, autocomplete: complete, autocapitalize: "none", spellcheck: "false", required: true }));
  const turn = () => {
    [withToken, wrong] = [!withToken, null];
    redraw();
  };
  return h("form", { class: "panel login", "data-key": withToken ? "token" : "password", onsubmit: (event) => submit(event, done, redraw) },
    h("h1", null, "Who are you?"),
    h("p", { class: "note" }, "This cluster has users. A login lasts for twelve hours; the password is not kept."),
    withToken ? field("token", "Token", "password", "off") : [field("name", "Name", "text", "username", lastName), field("password", "Password", "password", "current-password")],
    wrong ? h("p", { class: "banner", role: "alert" }, wrong) : null,
    h("div", { class: "row" }, h("button", { type: "submit", class: "main" }, "Log in"),
      button(withToken ? "With name and password" : "With a token", turn, "plain")));
}

async function submit(event, done, redraw) {
  event.preventDefault();
  const form = event.target;
  const said = Object.fromEntries(new FormData(form));
  const go = form.querySelector("button[type=submit]");
  lastName = said.name ?? lastName;
  go.disabled = true;
  wrong = await login(said);
  go.disabled = false;
  if (wrong === null) return done();
  redraw();
  const again = form.querySelector("input[type=password]");
  again.value = "";
  again.focus();
}
