// The parts that pages are made of. Values in, elements out; nothing here asks or keeps anything.

import { h } from "./dom.js";
import { bytes, count, lower, percent } from "./format.js";

export const panel = (title, body, ...more) =>
  h("section", { class: "panel" }, h("div", { class: "top" }, h("h2", null, title), ...more), body);
export const body = (...inner) => h("div", { class: "body" }, inner);
export const tight = (...inner) => h("div", { class: "body tight" }, inner);
export const grow = () => h("span", { class: "grow" });
export const note = (...inner) => h("span", { class: "note" }, inner);
export const empty = (text) => h("p", { class: "empty" }, text);
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
export const link = (to, ...inner) => h("a", { href: `#/${to}` }, inner);
export const button = (text, onclick, kind = "", more = {}) => h("button", { type: "button", class: kind, onclick, ...more }, text);

/// A name that may be longer than its place: cut there, whole in its title.
export const named = (text) => h("span", { class: "name", title: text }, text);

export function head(title, crumbs, ...actions) {
  return h("div", { class: "head" }, crumbs ? h("span", { class: "crumbs" }, crumbs, " /") : null, h("h1", null, title), grow(), actions);
}

export const tile = (label, value, more, kind = "") =>
  h("div", { class: "tile" }, h("span", null, label), h("b", null, kind ? badge(value, kind) : value), more ? h("small", null, more) : null);

export function pairs(list) {
  const shown = list.filter(Boolean).map(([name, value]) => [h("dt", null, name), h("dd", null, value ?? "–")]);
  return h("dl", { class: "pair" }, shown);
}

/// `columns`: [title, cell(row), class]; a cell may be an element, a text or null. `key(row)` names a row for good.
/// `kind` "stack": on a phone each row is a card of its own, and no text is cut.
export function table(columns, rows, key, none, kind = null) {
  if (!rows.length) return empty(none);
  const th = columns.map(([title, , kind]) => h("th", { class: kind, scope: "col" }, title));
  const tr = rows.map((row) =>
    h("tr", { "data-key": key(row), class: row.isSub ? "sub" : null }, columns.map(([title, cell, kind]) => h("td", { class: kind, "data-label": title || null }, cell(row) ?? "–"))));
  return h("div", { class: "scroll" }, h("table", { class: kind }, h("thead", null, h("tr", null, th)), h("tbody", null, tr)));
}

/// How full: over 85 % and 95 % it is coloured, and the number stands beside it.
export function usage(used, total, label) {
  const part = total > 0 ? (used / total) * 100 : 0;
  const kind = part >= 95 ? "bad" : part >= 85 ? "warn" : "";
  return measure(part, kind, label ?? `${percent(part)} of ${bytes(total)}`);
}

export function measure(part, kind, label) {
  const width = `${Math.min(100, Math.max(0, part)).toFixed(2)}%`;
  const bar = h("span", { class: `bar ${kind}`, role: "img", "aria-label": percent(part) }, h("i", { style: { width } }));
  return h("div", { class: "measure" }, bar, h("span", null, label));
}

export const progress = (done, total, label) => measure(total > 0 ? (done / total) * 100 : 0, done >= total ? "ok" : "", label);

/// A command with a button that copies it; other text as it is.
export function command(text) {
  const parts = text.split("`");
  return h("span", null, parts.map((piece, index) => (index % 2 ? oneCommand(piece) : piece)));
}

function oneCommand(text) {
  const copy = (event) => {
    navigator.clipboard?.writeText(text);
    event.target.textContent = "copied";
    setTimeout(() => (event.target.textContent = "copy"), 1200);
  };
  return h("span", { class: "cmd" }, text, button("copy", copy, "plain", { "aria-label": `copy ${text}` }));
}

/// A text whose words in backticks are code.
export const coded = (text) => h("span", null, text.split("`").map((piece, index) => (index % 2 ? h("code", null, piece) : piece)));

const KIND = {
  HEALTHY: "ok", UNRECOVERABLE: "bad", FORCE_REDUNDANT: "bad", REPLICA_MISSING: "bad", VERSION_INCOMPLETE: "warn",
  NEED_FURTHER_REPAIR: "warn", ALIVE: "ok", SILENT: "warn", LOST: "bad", ONLINE: "ok", SUSPECT: "warn", UNAVAILABLE: "bad",
  DRAINING: "warn", DRAINED: "info", LIVELY: "ok", RUNNING: "info", PENDING: "", FINISHED: "ok", CANCELLED: "warn",
  READY: "info", DONE: "ok", STOPPED: "bad", VERY_HIGH: "bad", HIGH: "warn", LOW: "", MID: "",
};
export const kindOf = (word) => KIND[word] ?? "warn";
export const state = (word) => badge(lower(word), KIND[word] ?? "warn");
export const klass = (word) => badge(lower(word), word === "HIGH" ? "warn" : word === "LOW" ? "info" : "");

/// How bad a problem is: red is what loses data, serves nobody or stands still.
export const severity = (problem) => (/unrecoverable|lost|unavailable|stopped|blind|bad|missing|stuck/.test(problem.code) ? "bad" : "warn");
export const worst = (problems) => (problems.length ? (problems.some((one) => severity(one) === "bad") ? "bad" : "warn") : "ok");

export function histogram(rows, total) {
  const cells = rows.map(({ label, n, kind }) => [
    h("span", null, label),
    h("span", { class: `bar ${kind}` }, h("i", { style: { width: `${total ? Math.max(n ? 0.6 : 0, (n / total) * 100) : 0}%` } })),
    h("span", { class: "n" }, count(n)),
  ]);
  return h("div", { class: "histo" }, cells);
}

/// Why something was refused, or waits.
export const refusal = (why) => (why ? h("span", { title: why.code }, coded(why.detail || lower(why.code))) : null);

/// `to(after)` makes the address of a page.
export function pager(shown, what, params, next, to) {
  const after = params.get("after");
  if (!after && !next) return null;
  return h("div", { class: "pager" },
    `${count(shown)} ${what} on this page`, grow(),
    after ? h("a", { class: "button", href: to(null) }, "first page") : null,
    next ? h("a", { class: "button", href: to(next), rel: "next" }, "next page") : null);
}
