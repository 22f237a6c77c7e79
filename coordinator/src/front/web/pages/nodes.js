// Nodes and their disks: how full, how busy, how they leave.

import { drain as drainIt, endMaintenance, maintain, undrain } from "../actions.js";
import { all, get } from "../api.js";
import { h } from "../dom.js";
import { bytes, clock, count, plural, tail } from "../format.js";
import { badge, body, empty, grow, head, klass, link, note, panel, state, table, tight, usage } from "../parts.js";
import { deed } from "../session.js";
import { drain } from "./overview.js";

export const title = "Nodes";
export const topics = ["nodes", "drains", "leases", "tablets"];

export async function load() {
  const [nodes, balance, status] = await Promise.all([all("nodes"), get("balance"), get("status")]);
  const byHost = (a, b) => a.host.localeCompare(b.host, undefined, { numeric: true }) || a.id - b.id;
  return { nodes: nodes.nodes.sort(byHost), scores: balance.nodes, media: status.media };
}

export function view({ nodes, scores, media }) {
  return [head("Nodes and disks"), room(nodes, media), list(nodes, scores)];
}

/// Disks on one file system share its room, so this is not the sum of the bars below.
function room(nodes, media) {
  const kinds = Object.entries(media ?? {});
  if (!kinds.length) return panel("Room", body(empty("No disk has joined yet. Start an agent: stele agent --config agent.toml")));
  const disks = (kind) => nodes.flatMap((node) => node.disks).filter((disk) => disk.medium === kind).length;
  const lines = kinds.map(([kind, of]) => [h("dt", null, kind), h("dd", null, usage(of.used, of.total, `${bytes(of.used)} of ${bytes(of.total)} on ${plural(disks(kind), "disk")}`))]);
  return panel("Room", body(h("dl", { class: "pair" }, lines)));
}

const scoreOf = (scores, node) => scores.filter((score) => score.id === node.id).map((score) => h("span", { title: `${score.medium}: ${plural(score.replica_num, "replica")}` }, `${score.medium} ${score.score.toFixed(3)} `, klass(score.class), " "));

function list(nodes, scores) {
  const rows = nodes.flatMap((node) => [{ node }, ...node.disks.map((disk) => ({ node, disk, isSub: true }))]);
  const columns = [
    ["Node", ({ node, disk }) => (disk ? h("code", { title: disk.path }, tail(disk.path)) : h("b", null, link(`nodes/${node.id}`, node.host))), "pin"],
    ["Id", ({ node, disk }) => (disk ?? node).id, "num minor"],
    ["State", ({ node, disk }) => (disk ? [state(disk.state), disk.drain ? [" ", state(disk.drain)] : null] : states(node)), "states"],
    ["Rack, tag", ({ node, disk }) => (disk ? disk.medium : `${node.rack || "–"}, ${node.tag}`), "minor"],
    ["Replicas", ({ node, disk }) => count((disk ?? node).replicas), "num"],
    ["Used", ({ node, disk }) => (disk ? usage(disk.used, disk.total) : usage(sum(node, "used"), sum(node, "total")))],
    ["Slots", ({ disk }) => (disk ? `${disk.slots_used}/${disk.slots_total} + ${disk.balance_slots_used}/${disk.balance_slots_total}` : ""), "num minor"],
    ["Score, class", ({ node, disk }) => (disk ? "" : scoreOf(scores, node)), "minor"],
    ["", ({ node, disk }) => (disk ? diskDeeds(node, disk) : deeds(node)), "deeds"],
  ];
  return panel("All nodes", tight(table(columns, rows, ({ node, disk }) => (disk ? `d${disk.id}` : `n${node.id}`), "No node has joined yet. Start an agent on a host, or a whole local cluster: stele up")),
    grow(), note("slots: repair + balance; score: how loaded, LOW to HIGH"));
}

const sum = (node, name) => node.disks.filter((disk) => disk.state !== "UNAVAILABLE").reduce((total, disk) => total + disk[name], 0);

const states = (node) => [
  state(node.liveness), node.drain ? [" ", state(node.drain)] : null,
  node.maintenance_until ? [" ", badge(`maintenance until ${clock(node.maintenance_until)}`, "info")] : null,
  node.drain_progress && node.drain !== "DRAINED" ? h("div", { class: "under" }, drain(node.drain_progress)) : null,
];

export function deeds(node, kind = "small") {
  const end = node.maintenance_until ? deed("operator", "End maintenance", () => endMaintenance(node.id, node.host), kind) : null;
  if (node.drain) return [deed("operator", "Undrain", () => undrain("nodes", node.id, node.host), kind), end ? [" ", end] : null];
  return [deed("operator", "Drain", () => drainIt("nodes", node.id, node.host), kind), " ", end ?? deed("operator", "Maintenance", () => maintain(node.id, node.host), kind)];
}

export function diskDeeds(node, disk) {
  const name = `${node.host} ${disk.path}`;
  if (disk.drain) return deed("operator", "Undrain", () => undrain("disks", disk.id, name), "small");
  return node.drain || disk.state === "UNAVAILABLE" ? "" : deed("operator", "Drain", () => drainIt("disks", disk.id, name), "small");
}
