// One node: why it counts as it does, its disks, its drain with everything that is left and why.

import { get, maybe } from "../api.js";
import { h } from "../dom.js";
import { bytes, clock, count, eta, plural, rate, span, tail, time } from "../format.js";
import { badge, body, command, empty, grow, head, link, named, note, pairs, panel, progress, refusal, state, table, tight, usage } from "../parts.js";
import { deeds, diskDeeds } from "./nodes.js";
import { how, taskColumns } from "./tasks.js";

export const title = "Node";
export const called = ({ node }) => node.host;
export const topics = ["nodes", "drains", "leases", "tablets", "tasks"];

export async function load({ id }) {
  const node = await get(`nodes/${id}`);
  const [why, certificate] = await Promise.all([
    get(`nodes/${id}/explain`),
    node.drain === "DRAINED" ? maybe(get(`nodes/${id}/certificate`, { brief: true })).catch(() => null) : null,
  ]);
  // Its disks may leave one by one.
  const leavers = await Promise.all(node.disks.filter((disk) => disk.drain).map(async (disk) => ({ disk, of: await maybe(get(`disks/${disk.id}/drain`)) })));
  return { node, why, certificate, leavers: leavers.filter(({ of }) => of) };
}

export function view({ node, why, certificate, leavers }) {
  return [
    head(node.host, link("nodes", "Nodes"), state(node.liveness), node.drain ? state(node.drain) : null, node.maintenance_until ? badge(`maintenance until ${clock(node.maintenance_until)}`, "info") : null, deeds(node, "")),
    node.drain_progress ? leaving(node.drain_progress, why.tasks, "Drain", nodeEnd(node, certificate)) : null,
    leavers.map(({ disk, of }) => leaving(of, why.tasks, `Drain of disk ${disk.id}, ${tail(disk.path)}`, diskEnd)),
    h("div", { class: "grid" }, about(node), because(why)),
    disks(node, why),
    panel("Tasks from and to it", tight(table(taskColumns, why.tasks, (task) => `${task.tablet}`, "None is running.", "stack"))),
  ];
}

const nodeEnd = (node, certificate) => [
  certificate && ["Certificate", command(`each tablet has ${certificate.copies_min} or more proven copies elsewhere; \`stele node certificate ${node.id}\` names them all`)],
  ["What next", command(`it may be switched off; \`stele node remove ${node.id}\` takes it out of the cluster`)],
];
const diskEnd = [["What next", "no replica is left on it; undrain it to use it again"]];

/// How far a drain is; `end` is what is said once nothing is left.
function leaving(of, tasks, name, end) {
  const copying = (tablet) => tasks.find((task) => task.tablet === tablet && task.kind !== "DELETE" && task.state === "RUNNING");
  const columns = [
    ["Tablet", (item) => link(`tablets/${item.tablet}`, item.tablet)],
    ["Table", (item) => named(item.table)],
    ["Status", (item) => state(item.status)],
    ["Waits for", (item) => (copying(item.tablet) ? how(copying(item.tablet)) : refusal(item.why)), "wrap"],
  ];
  const line = of.state === "DRAINED"
    ? body(pairs([["Drained", time(of.ended)], ["Held when it began", `${plural(of.tablets, "tablet")}, ${bytes(of.bytes)}`], ...end]))
    : body(progress(of.tablets_moved, of.tablets, `${count(of.tablets_moved)} of ${plural(of.tablets, "tablet")}`),
        pairs([of.stuck && ["It is stuck", refusal(of.stuck)],
          ["Left", `${plural(of.tablets_left, "tablet")}, ${bytes(of.bytes_left)}${of.bytes_running ? `, ${bytes(of.bytes_running)} of it copied` : ""}`], ["Copies", `${count(of.copies_running)} running, ${rate(of.bytes_per_s)}`], ["ETA", eta(of.eta_s)], ["Asked by", `${of.owner || "–"}${of.reason ? `: ${of.reason}` : ""}, ${time(of.began)}`]]));
  const key = of.disk ? `drain-${of.disk}` : "drain";
  return h("div", { id: key, "data-key": key },
    panel(name, h("div", null, line, of.left.length ? tight(table(columns, of.left, (item) => item.tablet, "", "stack")) : null), state(of.state)));
}

function about(node) {
  const of = node.host_figures;
  const shown = of ? [
    ["CPUs, load", `${of.cpus}, ${of.load_average_1m.toFixed(2)} over a minute`],
    ["Memory free", `${bytes(of.memory_available)} of ${bytes(of.memory_total)}`],
    ["Host is up for", span(of.uptime_s * 1000)],
  ] : [];
  return panel("About", body(pairs([
    ["Id", node.id], ["Name", node.name], ["Rack, tag", `${node.rack || "no rack"}, ${node.tag}`], ["Replicas", h("a", { href: `#/tablets?node=${node.id}` }, count(node.replicas))],
    ["Last word", node.silent_ms === null ? "none since this coordinator began" : `${span(node.silent_ms)} ago`],
    ["Build", node.build], ["Peers reach it at", h("code", null, node.peer || "–")], ["Readers reach it at", h("code", null, node.http || "–")],
    ...shown,
  ])));
}

function because(why) {
  const replicas = Object.entries(why.replicas).map(([what, n]) => [what, count(n)]);
  return panel("Why it counts as it does", body(h("ol", { class: "why" }, why.because.map((line) => h("li", null, line))), replicas.length ? pairs(replicas) : empty("No replica stands on it.")));
}

/// Whether anything new is put there.
function comes(node, disk, known) {
  const drain = disk.drain ?? node.drain;
  if (drain) return drain === "DRAINED" ? "none: it is drained" : "none: it is being drained";
  return known?.refused ? refusal(known.refused) : "welcome";
}

function disks(node, why) {
  const known = new Map(why.disks.map((disk) => [disk.disk, disk]));
  const columns = [
    ["Disk", (disk) => h("code", { title: disk.path }, tail(disk.path))],
    ["Id", (disk) => disk.id, "num"],
    ["Medium", (disk) => disk.medium],
    ["State", (disk) => [state(disk.state), disk.drain ? [" ", state(disk.drain)] : null]],
    ["Used", (disk) => usage(disk.used, disk.total)],
    ["Replicas", (disk) => h("a", { href: `#/tablets?disk=${disk.id}` }, count(disk.replicas)), "num"],
    ["Slots", (disk) => `${disk.slots_used}/${disk.slots_total} + ${disk.balance_slots_used}/${disk.balance_slots_total}`, "num"],
    ["Trash", (disk) => bytes(disk.trash_bytes), "num"],
    ["New copies", (disk) => comes(node, disk, known.get(disk.id)), "wrap"],
    ["", (disk) => diskDeeds(node, disk), "deeds"],
  ];
  return panel("Disks", tight(table(columns, node.disks, (disk) => disk.id, "It has no disk.", "stack")), grow(), note("slots: repair + balance"));
}
