// All tables, and how many of their tablets are healthy.

import { repairFirst, verify } from "../actions.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, plural } from "../format.js";
import { badge, grow, head, link, measure, named, note, pager, pairs, panel, table, tight } from "../parts.js";
import { deed } from "../session.js";

export const title = "Tables";
export const topics = ["tables", "tablets", "health"];

const PAGE = 200;

export const load = ({ params }) => get("tables", { limit: PAGE, after: params.get("after") });

export function view({ tables, next }, { params }) {
  const to = (after) => `#/tables${after === null ? "" : `?after=${encodeURIComponent(after)}`}`;
  const ill = (one) => one.tablets - one.healthy;
  const columns = [
    ["Table", (one) => link(`tables/${encodeURIComponent(one.db)}/${encodeURIComponent(one.name)}`, named(`${one.db}.${one.name}`))],
    ["Copies", (one) => one.replication, "num minor"],
    ["Medium", (one) => one.medium, "minor"],
    ["Tag", (one) => one.tag, "minor"],
    ["Group", (one) => one.colocate ?? "–", "minor"],
    ["Partitions", (one) => count(one.partitions.length), "num minor"],
    ["Healthy tablets", (one) => measure(one.tablets ? (one.healthy / one.tablets) * 100 : 0, ill(one) ? "warn" : "ok", `${count(one.healthy)} of ${count(one.tablets)}`)],
    ["Files", (one) => count(one.files), "num minor"],
    ["Bytes, one copy", (one) => bytes(one.bytes), "num"],
    ["", (one) => deeds(one), "deeds"],
  ];
  return [head("Tables"), panel("All tables", h("div", null, tight(table(columns, tables, (one) => one.id, "There is no table yet. Make one: stele table create shop.orders --replication 3 --buckets 16", "stack")), pager(tables.length, "tables", params, next, to)), grow(), note(next || params.get("after") ? "" : plural(tables.length, "table")))];
}

export function deeds(one) {
  const name = `${one.db}.${one.name}`;
  const ill = one.tablets - one.healthy;
  const found = pairs([["Tablets", count(one.tablets)], ["Not healthy", ill ? badge(count(ill), "warn") : "none: nothing would go first now"]]);
  return [deed("operator", "Repair first", () => repairFirst({ kind: "urgent", table: name }, name, found), "small"), " ", deed("operator", "Verify", () => verify(name), "small")];
}
