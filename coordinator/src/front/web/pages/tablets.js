// Tablets of a table, a node or a disk: the matrix of their copies, coloured by state, page by page.

import { all, get } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, lower, plural } from "../format.js";
import { badge, empty, grow, head, link, named, note, pager, pairs, panel, state, table, tight, body } from "../parts.js";
import { deeds } from "./tables.js";

export const title = "Tablets";
export const called = (data, { db, name }) => (db ? `${db}.${name}` : title);
export const topics = ["tablets", "nodes", "tables", "health"];
const PAGE = 100;
/// More hosts than these do not fit beside each other: then copies are listed.
const HOSTS_MAX = 24;
const STATUSES = ["UNRECOVERABLE", "FORCE_REDUNDANT", "NEED_FURTHER_REPAIR", "REPLICA_MISSING", "VERSION_INCOMPLETE", "REPLICA_RELOCATING", "REPLICA_MISSING_IN_CLUSTER", "DISK_MIGRATION", "COLOCATE_MISMATCH", "COLOCATE_REDUNDANT", "REDUNDANT", "HEALTHY"];

export async function load({ db, name, params }) {
  const named = db ? { table: `${db}.${name}` } : {};
  const query = Object.fromEntries(["partition", "status", "node", "disk", "after"].map((key) => [key, params.get(key)]));
  const [tablets, nodes, of] = await Promise.all([
    get("tablets", { ...named, ...query, limit: PAGE }),
    all("nodes"),
    db ? get(`tables/${encodeURIComponent(db)}/${encodeURIComponent(name)}`) : null,
  ]);
  return { tablets, nodes: nodes.nodes.sort((a, b) => a.host.localeCompare(b.host, undefined, { numeric: true }) || a.id - b.id), of };
}

export function view({ tablets, nodes, of }, { db, name, params }) {
  const full = db ? `${db}.${name}` : params.get("node") ? `Tablets on node ${params.get("node")}` : params.get("disk") ? `Tablets on disk ${params.get("disk")}` : "Tablets";
  return [
    head(full, db ? link("tables", "Tables") : null, of ? deeds(of) : null),
    of ? about(of) : null,
    filters(of, params),
    panel("Copies", h("div", null, tight(matrix(tablets.tablets, nodes)), pager(tablets.tablets.length, "tablets", params, tablets.next, (after) => address(params, { after }))), grow(), legend()),
  ];
}

function about(of) {
  return panel("About", body(pairs([
    ["Copies", of.replication], ["Medium, tag", `${of.medium}, ${of.tag}`], of.colocate && ["Group", of.colocate],
    ["Tablets", `${count(of.healthy)} of ${count(of.tablets)} healthy`], ["Content", `${plural(of.files, "file")}, ${bytes(of.bytes)} a copy`],
  ])));
}

function address(params, change) {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(change)) value === null ? next.delete(key) : next.set(key, value);
  const path = location.hash.split("?")[0];
  return next.size ? `${path}?${next}` : path;
}

function filters(of, params) {
  const choose = (key) => (event) => (location.hash = address(params, { [key]: event.target.value || null, after: null }));
  const option = (value, text) => h("option", { value }, text);
  const status = h("select", { "aria-label": "Status", onchange: choose("status") }, option("", "every status"), STATUSES.map((one) => option(one, lower(one))));
  status.value = params.get("status") ?? "";
  const partitions = of?.partitions ?? [];
  const partition = h("select", { "aria-label": "Partition", onchange: choose("partition") }, option("", "every partition"), partitions.map((one) => option(one.name, `${one.name} (${count(one.tablets)})`)));
  partition.value = params.get("partition") ?? "";
  return h("div", { class: "filters" }, status, partitions.length > 1 ? partition : null);
}

const mark = (kind, sign) => h("span", { class: "cell" }, h("i", { class: kind }, sign));

function legend() {
  const item = (kind, sign, text) => h("span", { class: "cell" }, h("i", { class: kind }, sign), text);
  return h("span", { class: "legend" }, item("ok", "✓", "complete"), item("behind", "↑", "catching up"), item("leaving", "→", "leaving"), item("bad", "✕", "bad"), item("away", "?", "away"));
}

export function kindOf(replica, nodes) {
  const node = nodes?.get(replica.node);
  const disk = node?.disks.find((one) => one.id === replica.disk);
  if (replica.bad) return ["bad", "✕"];
  // A copy in the making has not been seen on its disk yet, which is not the same as gone.
  const isMade = replica.state === "CLONE" && (node ? node.liveness === "ALIVE" : replica.alive);
  if (isMade) return ["behind", "↑"];
  if (!replica.alive) return ["away", "?"];
  if (!replica.complete) return ["behind", "↑"];
  return node?.drain || disk?.drain ? ["leaving", "→"] : ["ok", "✓"];
}

function matrix(tablets, nodes) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const wide = nodes.length <= HOSTS_MAX;
  const hosts = wide ? nodes.map((node) => [node.host, (tablet) => onNode(tablet, node, known), "cell host"]) : [["Copies", (tablet) => listed(tablet, known), "wrap"]];
  const columns = [
    ["Tablet", (tablet) => link(`tablets/${tablet.id}`, tablet.id), "pin"],
    ["Table", (tablet) => named(`${tablet.db}.${tablet.table}/${tablet.partition}`), "minor"],
    ["Bucket", (tablet) => tablet.bucket, "num minor"],
    ["Status", (tablet) => h("span", { title: tablet.reason }, state(tablet.status))],
    ["Version", (tablet) => (tablet.visible_version === tablet.committed_version ? tablet.visible_version : `${tablet.visible_version} (${tablet.committed_version} committed)`), "num minor"],
    ...hosts,
  ];
  const shown = table(columns, tablets, (tablet) => tablet.id, "No tablet is like this.");
  shown.classList.add("matrix");
  return shown;
}

function onNode(tablet, node, known) {
  const there = tablet.replicas.filter((replica) => replica.node === node.id);
  if (!there.length) return mark("", "·");
  return there.map((replica) => {
    const [kind, sign] = kindOf(replica, known);
    const why = replica.why ? `: ${replica.why}` : "";
    return h("span", { class: "cell", title: `replica ${replica.id} on disk ${replica.disk}, version ${replica.version}${why}` }, h("i", { class: kind }, sign, h("span", { class: "minor" }, ` ${replica.version}`)));
  });
}

const listed = (tablet, known) => tablet.replicas.map((replica) => {
  const [kind, sign] = kindOf(replica, known);
  return h("span", { class: "cell", title: replica.why ?? "complete" }, h("i", { class: kind }, ` ${sign} ${replica.host} `), " ");
});
