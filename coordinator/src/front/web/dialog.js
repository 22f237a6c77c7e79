// Questions before something is done: what would happen is shown first, and only then can it be confirmed.

import { h } from "./dom.js";
import { button } from "./parts.js";
import { session } from "./session.js";

const NAME = "stele.name";

export function toast(text, kind = "") {
  let place = document.getElementById("toasts");
  if (!place) document.body.append((place = h("div", { id: "toasts", role: "status" })));
  const shown = h("div", { class: `toast ${kind}` }, text);
  place.append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 12_000 : 5000);
}

export const failed = (problem) => toast([problem.message, problem.next ? `; ${problem.next}` : ""].join(""), "bad");

/// `content`: elements; `fields`: [{name, label, value?, options?, type?}]; `force`: a text that must be ticked first.
/// Resolves to the fields' values, or null when it was called off. One at a time: while one is open, another one is
/// called off at once. Without an `action` it only tells.
export function confirm({ title, content, fields = [], action, kind = "main", force = null, disabled = false }) {
  if (document.querySelector("dialog[open]")) return Promise.resolve(null);
  return new Promise((resolve) => {
    const inputs = Object.fromEntries(fields.map((field) => [field.name, input(field)]));
    const tick = force ? h("input", { type: "checkbox", name: "force" }) : null;
    const go = h("button", { type: "submit", class: kind, disabled: disabled || Boolean(force), value: "go" }, action);
    if (tick) tick.onchange = () => (go.disabled = disabled || !tick.checked);
    const labels = fields.map((field) => h("label", { class: "field" }, field.label, inputs[field.name]));
    const form = h("form", { method: "dialog" },
      h("div", { class: "said" }, h("h3", null, title), content,
        labels.length ? h("div", { class: "row" }, labels) : null,
        tick ? h("label", { class: "choice" }, tick, force) : null),
      h("div", { class: "row end" }, action ? [button("Not now", () => dialog.close("")), go] : button("Close", () => dialog.close(""))));
    const dialog = h("dialog", { "aria-label": title }, form);
    dialog.onclose = () => {
      dialog.remove();
      if (dialog.returnValue !== "go") return resolve(null);
      const values = Object.fromEntries(Object.entries(inputs).map(([name, field]) => [name, field.value]));
      if (values.owner) localStorage.setItem(NAME, values.owner);
      resolve({ ...values, force: tick?.checked ?? false });
    };
    document.body.append(dialog);
    dialog.showModal();
    (fields.length ? inputs[fields[0].name] : action ? go : dialog.querySelector("button")).focus();
  });
}

/// Whoever leaves a page leaves what it asked.
export const closeAll = () => document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close(""));

function input({ value = "", options, type = "text", placeholder }) {
  if (!options) return h("input", { type, value, placeholder });
  const select = h("select", null, options.map(([key, text]) => h("option", { value: key }, text)));
  select.value = value || options[0][0];
  return select;
}

/// Who, and why: kept with what is done. Whoever is logged in is known.
export const who = () => [
  ...(session().users ? [] : [{ name: "owner", label: "Your name", value: localStorage.getItem(NAME) ?? "" }]),
  { name: "reason", label: "Why (shown while it lasts)", value: "" },
];
export const owner = (name) => (session().users ? session().name : name || "web");
