// How even the hosts are, since when, and what would make them so: nothing moves from here without a plan.

import { makePlan } from "../actions.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, part, plural, time } from "../format.js";
import { badge, body, empty, grow, head, klass, link, measure, named, note, pairs, panel, refusal, table, tight } from "../parts.js";
import { deed } from "../session.js";

export const title = "Balance";
export const topics = ["nodes", "tablets", "tasks", "level", "leases", "knobs"];

/// How long the page waits for the planner.
const WAIT_MS = 150;
/// The planner takes seconds in a large, uneven house; the rest of the page is there before.
export const isUnfinished = ({ balance }) => balance.is_looking;

export async function load() {
  const [balance, history] = await Promise.all([get("balance", { wait_ms: WAIT_MS }), get("balance/history")]);
  return { balance, samples: history.samples };
}

export function view({ balance, samples }) {
  return [
    head("Balance", null, deed("operator", "Plan a balance", () => makePlan({ kind: "balance" }, "balance"), "main")),
    h("div", { class: "grid" }, now(balance), ...balance.media.map((of) => spread(of, samples.filter((sample) => sample.medium === of.medium)))),
    nodes(balance),
    moves(balance),
  ];
}

function now(balance) {
  const busy = balance.running + balance.waiting > 0;
  return panel("Now", body(pairs([
    ["State", busy ? badge(`${count(balance.running)} running, ${count(balance.waiting)} waiting`, "info") : badge("idle")],
    !busy && ["Because", balance.idle ? refusal(balance.idle) : "it has not looked yet"],
    ["Done in this epoch", `${plural(balance.done.moves, "move")}, ${bytes(balance.done.bytes)}; ${count(balance.done.failed)} failed`],
  ])));
}

function spread(of, samples) {
  const width = of.used_percent_max - of.used_percent_min;
  return panel(`Spread, ${of.medium}`, body(
    pairs([
      ["Fullest − emptiest", [part(width), " ", width > of.threshold ? badge(`over ${part(of.threshold)}`, "warn") : badge(`under ${part(of.threshold)}`, "ok")]],
      ["Fullest, emptiest, trash aside", `${part(of.used_percent_max)}, ${part(of.used_percent_min)}`],
      ["Standard deviation", `${part(of.used_percent_stddev)} over ${plural(of.disks, "disk")}`],
    ]),
    chart(samples, of.threshold)));
}

/// The spread over time, with the threshold as a line.
function chart(samples, threshold) {
  if (samples.length < 2) return empty("A curve appears once it has been measured twice.");
  const width = 600, height = 130, low = 126, top = 14;
  const widths = samples.map((sample) => sample.used_percent_max - sample.used_percent_min);
  const most = Math.max(threshold * 1.25, ...widths, 0.001);
  const times = samples.map((sample) => Date.parse(sample.at));
  const [first, last] = [times[0], times[times.length - 1]];
  const x = (at) => 4 + ((at - first) / Math.max(1, last - first)) * (width - 8);
  const y = (value) => low - (value / most) * (low - top);
  const points = times.map((at, index) => `${x(at).toFixed(1)},${y(widths[index]).toFixed(1)}`).join(" ");
  const line = (value, kind) => h("line", { class: kind, x1: 0, x2: width, y1: y(value), y2: y(value) });
  const picture = h("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `spread over time, now ${part(widths.at(-1))}` },
    line(0, "grid-line"), line(threshold, "threshold"), h("polyline", { class: "curve", points }));
  // Beside the picture, which is stretched: text would be, too.
  return h("div", { class: "curves" },
    h("span", { class: "mark", style: { top: `${y(threshold)}px` } }, `threshold ${part(threshold)}`), picture,
    h("div", { class: "ends" }, h("span", null, time(samples[0].at)), h("span", null, time(samples.at(-1).at))));
}

function nodes(balance) {
  const columns = [
    ["Node", (one) => link(`nodes/${one.id}`, one.host)],
    ["Medium", (one) => one.medium],
    ["Used, with trash", (one) => measure(one.used_percent * 100, "", part(one.used_percent))],
    ["Replicas", (one) => count(one.replica_num), "num"],
    ["Score", (one) => one.score.toFixed(4), "num"],
    ["Class", (one) => klass(one.class)],
  ];
  const rows = [...balance.nodes].sort((a, b) => a.medium.localeCompare(b.medium) || b.score - a.score);
  return panel("Load of the nodes", tight(table(columns, rows, (one) => `${one.id}${one.medium}`, "No node is known.")), grow(), note("most loaded first"));
}

function moves(balance) {
  const columns = [
    ["Tablet", (move) => link(`tablets/${move.tablet}`, move.tablet)],
    ["Table", (move) => named(move.table)],
    ["From", (move) => [link(`nodes/${move.from_node}`, move.from_node), `/${move.from_disk}`]],
    ["To", (move) => [link(`nodes/${move.to_node}`, move.to_node), `/${move.to_disk}`]],
    ["Bytes", (move) => bytes(move.bytes), "num"],
    ["Evens", (move) => move.why],
  ];
  const turns = `First ${plural(balance.operations.move_pri, "primary changes", "primaries change")} hands, which moves no bytes.`;
  const none = balance.is_looking ? "The planner is looking…" : balance.next_none?.detail ?? turns;
  return panel("Would come next", tight(table(columns, balance.next, (move) => move.replica, none)), grow(), note("if nothing held it back"));
}
