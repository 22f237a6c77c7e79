// One plan: its price, before and after by disk, its moves, and how far it is.

import { applyPlan, cancelPlan, price } from "../actions.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, lower, part, plural, time } from "../format.js";
import { badge, body, empty, grow, head, link, named, note, pager, pairs, panel, state, table, tight } from "../parts.js";
import { deed } from "../session.js";
import { far, goal } from "./plans.js";

export const title = "Plan";
export const called = (plan) => `Plan ${plan.id}`;
export const topics = ["plans"];
const PAGE = 100;
const DISKS_MAX = 40;

export const load = ({ id, params }) => get(`plans/${id}`, { limit: PAGE, after: params.get("after") });

export function view(plan, { id, params }) {
  const deeds = [
    plan.state === "READY" && plan.what.kind !== "hosts" ? deed("operator", "Apply", () => applyPlan(plan), "main", { disabled: Boolean(plan.why) || !plan.price.moves }) : null,
    plan.state === "READY" || plan.state === "RUNNING" ? deed("operator", "Call off", () => cancelPlan(plan)) : null,
  ];
  return [
    head(`Plan ${plan.id}: ${goal(plan.what)}`, link("plans", "Plans"), state(plan.state), deeds),
    plan.why ? h("p", { class: "banner" }, plan.why.detail) : null,
    h("div", { class: "grid" },
      panel("Price", body(plan.price.moves ? price(plan) : empty("It moves nothing: what it wants is so already."))),
      panel("Progress", body(plan.state === "READY" ? empty("It has not been applied; nothing has moved.") : far(plan),
        pairs([["Left", `${plural(plan.progress.left + plan.progress.running, "move")}, ${bytes(plan.progress.bytes_left)}`], ["Came about otherwise", count(plan.progress.otherwise)], ["Made", `${time(plan.made)}${plan.owner ? ` by ${plan.owner}` : ""}${plan.reason ? `: ${plan.reason}` : ""}`], ["Ended", time(plan.ended)]])))),
    disks(plan.price),
    plan.price.blockers.length ? blocked(plan.price) : null,
    moves(plan, id, params),
  ];
}

function disks(price) {
  const bar = (value, kind) => h("span", { class: "bar", role: "img", "aria-label": part(value) }, h("i", { class: kind, style: { width: part(value).replace(" ", "") } }));
  const rows = price.disks.slice(0, DISKS_MAX).map((disk) => [
    h("span", { title: disk.path }, `${disk.host} ${disk.medium} ${disk.disk}`),
    bar(disk.used_percent_before, "ghost"), h("span", null, part(disk.used_percent_before)),
    bar(disk.used_percent_after, ""), h("span", null, part(disk.used_percent_after)),
  ]);
  if (!rows.length) return null;
  const more = price.disks.length > DISKS_MAX ? `the first ${DISKS_MAX} of ${price.disks.length} disks` : "disks that give or take";
  return panel("Before and after", body(h("div", { class: "compare" }, h("span"), h("span", { class: "note" }, "before"), h("span"), h("span", { class: "note" }, "after"), h("span"), rows)), grow(), note(more));
}

function blocked(price) {
  const columns = [["Tablet", (one) => (one.tablet ? link(`tablets/${one.tablet}`, one.tablet) : "–")], ["Table", (one) => (one.table ? named(one.table) : "–")], ["Why", (one) => one.detail, "wrap"]];
  return panel("Find no place", tight(table(columns, price.blockers, (one) => `${one.code}${one.tablet}`, "", "stack")), badge(count(price.blocked), "bad"));
}

function moves(plan, id, params) {
  const columns = [
    ["Tablet", (move) => link(`tablets/${move.tablet}`, move.tablet)],
    ["Table", (move) => named(move.table)],
    ["From", (move) => `${move.from_host} / ${move.from_disk}`],
    ["To", (move) => `${move.to_host} / ${move.to_disk}`],
    ["Bytes", (move) => bytes(move.bytes), "num"],
    ["", (move) => (move.leaves ? "move" : "one more copy")],
    ["State", (move) => badge(lower(move.state), move.state === "DONE" ? "ok" : move.state === "RUNNING" ? "info" : "")],
  ];
  const to = (after) => `#/plans/${id}${after === null ? "" : `?after=${after}`}`;
  return panel("Moves", h("div", null, tight(table(columns, plan.moves, (move) => `${move.tablet}-${move.from_disk}-${move.to_disk}`, "None.")), pager(plan.moves.length, "moves", params, plan.next, to)), grow(), note("in the order in which they begin"));
}
