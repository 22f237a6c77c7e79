// Plans: what would move, before anything moves; kept, applied, followed.

import { makePlan } from "../actions.js";
import { get } from "../api.js";
import { bytes, count, eta, time } from "../format.js";
import { grow, head, link, note, panel, progress, state, table, tight } from "../parts.js";
import { deed } from "../session.js";

export const title = "Plans";
export const topics = ["plans"];

export const load = () => get("plans");

export function goal(what) {
  if (what.kind === "balance") return what.tables.length ? `balance of ${what.tables.join(", ")}` : "balance";
  if (what.kind === "drain") {
    const parts = [what.rack ? `rack ${what.rack}` : null, ...what.nodes.map((id) => `node ${id}`), ...what.disks.map((id) => `disk ${id}`)];
    return `drain of ${parts.filter(Boolean).join(", ")}`;
  }
  return what.kind === "policy" ? `policy of ${what.table}` : `${what.hosts.length} more hosts`;
}

export const far = ({ progress: of, price }) =>
  progress(of.done + of.otherwise, price.moves, `${count(of.done)} of ${count(price.moves)} done${of.running ? `, ${of.running} running` : ""}`);

export function view({ plans }) {
  const columns = [
    ["Plan", (plan) => link(`plans/${plan.id}`, plan.id)],
    ["For", (plan) => goal(plan.what)],
    ["State", (plan) => state(plan.state)],
    ["Moves", (plan) => count(plan.price.moves), "num"],
    ["Bytes", (plan) => bytes(plan.price.bytes), "num"],
    ["Takes", (plan) => eta(plan.price.eta_s), "num"],
    ["Progress", (plan) => (plan.state === "READY" ? "not applied" : far(plan))],
    ["Made", (plan) => `${time(plan.made)}${plan.owner ? ` by ${plan.owner}` : ""}`],
    ["Why not", (plan) => plan.why?.detail ?? "", "wrap"],
  ];
  return [
    head("Plans", null, deed("operator", "Plan a balance", () => makePlan({ kind: "balance" }, "balance"), "main")),
    panel("All plans", tight(table(columns, plans, (plan) => plan.id, "No plan has been made. A plan shows every move and its price before anything moves.", "stack")), grow(), note("newest first")),
  ];
}
