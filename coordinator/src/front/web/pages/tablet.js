// One tablet: its replicas and versions, why it is as it is, every disk by every rule, and what was decided before.

import { repairFirst } from "../actions.js";
import { get } from "../api.js";
import { h } from "../dom.js";
import { ago, bytes, lower, percent, span, tail, time } from "../format.js";
import { badge, body, empty, grow, head, link, note, pairs, panel, refusal, state, table, tight } from "../parts.js";
import { deed } from "../session.js";
import { taskColumns } from "./tasks.js";

export const title = "Tablet";
export const called = ({ tablet }) => `Tablet ${tablet.id}`;
export const topics = ["tablets", "tasks", "nodes", "leases"];

export const load = ({ id }) => get(`tablets/${id}/explain`);

export function view(why) {
  const { tablet } = why;
  const name = `tablet ${tablet.id}`;
  const first = () => repairFirst({ kind: "urgent_tablet", tablet: tablet.id }, name, verdict(why));
  return [
    head(`Tablet ${tablet.id}`, [link("tables", "Tables"), " / ", link(`tables/${tablet.db}/${tablet.table}`, `${tablet.db}.${tablet.table}`)], state(tablet.status), deed("operator", "Repair first", first)),
    h("div", { class: "grid" }, panel("Verdict", body(verdict(why))), about(tablet)),
    replicas(tablet),
    why.task ? panel("Its task", tight(table(taskColumns, [why.task], (task) => task.tablet, "", "stack"))) : null,
    candidates(why),
    why.slots_in_the_way.length ? panel("Running tasks in the way", tight(table(taskColumns, why.slots_in_the_way, (task) => task.tablet, "", "stack"))) : null,
    list("Replicas outside the catalog that could give files", why.strays),
    list("In the trash", why.trash),
    history(why.history),
  ];
}

function verdict(why) {
  return [
    h("ol", { class: "why" }, why.because.map((line) => h("li", null, line))),
    pairs([
      why.waits_for.length && ["Waits for", h("ul", { class: "plain" }, why.waits_for.map((one) => h("li", null, refusal(one))))],
      why.next_attempt_ms !== null && ["Looked at again in", span(why.next_attempt_ms)],
      why.allowed_if.length && ["Allowed if", h("ul", { class: "plain" }, why.allowed_if.map((line) => h("li", null, line)))],
    ]),
  ];
}

function about(tablet) {
  return panel("About", body(pairs([
    ["Partition, bucket", `${tablet.partition}, ${tablet.bucket}`],
    ["Visible version", tablet.visible_version],
    ["Committed version", tablet.committed_version],
    ["Hash of the version", h("code", null, String(tablet.version_hash).slice(0, 24))],
    ["Ballot", tablet.ballot],
    ["Primary", tablet.primary ? `replica ${tablet.primary}` : "none"],
    ["Priority", tablet.priority ? lower(tablet.priority) : "–"],
  ])));
}

function replicas(tablet) {
  const columns = [
    ["Replica", (one) => [one.id, one.id === tablet.primary ? [" ", badge("primary", "info")] : null]],
    ["Node", (one) => link(`nodes/${one.node}`, one.host)],
    ["Disk", (one) => one.disk, "num minor"],
    ["State", (one) => (one.bad ? badge("bad", "bad") : one.state === "CLONE" ? badge("catching up", "info") : !one.alive ? badge("away", "warn") : one.complete ? badge("complete", "ok") : badge(lower(one.state), "warn"))],
    ["Version", (one) => one.version, "num"],
    ["Last failed", (one) => one.last_failed_version ?? "–", "num minor"],
    ["Last success", (one) => one.last_success_version, "num minor"],
    ["Size", (one) => bytes(one.size), "num"],
    ["Read in full", (one) => (one.verified_s === null ? "not in this epoch" : `${span(one.verified_s * 1000)} ago`), "num"],
    ["Why not", (one) => one.bad ?? one.why ?? "", "wrap"],
    ["Directory", (one) => h("code", { title: one.dir }, tail(one.dir))],
  ];
  return panel("Replicas", tight(table(columns, tablet.replicas, (one) => one.id, "It has none.", "stack")));
}

function candidates(why) {
  const rules = [...new Set(why.candidates.flatMap((one) => one.rules.map((rule) => rule.rule)))];
  const cell = (one, name) => {
    const rule = one.rules.find((found) => found.rule === name);
    if (!rule) return "";
    return h("span", { title: rule.detail }, rule.code ? badge(lower(rule.code), "bad") : badge("ok", "ok"));
  };
  const columns = [
    ["Host", (one) => link(`nodes/${one.node}`, one.host)],
    ["Disk", (one) => one.disk, "num"],
    ["Rack", (one) => one.rack || "–"],
    ...rules.map((name) => [lower(name), (one) => cell(one, name), "minor"]),
    ["Used", (one) => percent(one.used_percent), "num"],
    ["Coming", (one) => one.copies_coming, "num"],
    ["Score", (one) => (one.score === null ? "–" : one.score.toFixed(3)), "num"],
    ["Verdict", (one) => (one.refused ? refusal(one.refused) : badge("may be chosen", "ok")), "wrap"],
  ];
  return panel("Every disk as a destination", tight(table(columns, why.candidates, (one) => one.disk, "No disk is known.", "stack")), grow(), note("by every rule; hold the pointer over one for its numbers"));
}

const list = (name, lines) => (lines.length ? panel(name, body(h("ul", { class: "plain" }, lines.map((line) => h("li", null, line))))) : null);

function history(tasks) {
  return panel("What was decided before", tight(table(taskColumns, tasks, (task) => `${task.id}`, "Nothing has been done to it yet.", "stack")), grow(), note("newest first"));
}
