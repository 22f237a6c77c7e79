// Repairs, moves and deletions: what runs with its bars, what waits and why, what has ended.

import { get } from "../api.js";
import { h } from "../dom.js";
import { ago, bytes, count, lower, rate, span, time } from "../format.js";
import { badge, empty, grow, head, link, named, note, pager, panel, progress, refusal, state, table, tight } from "../parts.js";

export const title = "Tasks";
export const topics = ["tasks", "tablets"];
const PAGE = 100;
const TABS = [["running", "Running"], ["pending", "Pending"], ["history", "Ended"]];

export const load = ({ tab, params }) => get("tasks", { state: tab, limit: PAGE, after: params.get("after") });

const place = (host, node, disk) => (node ? [link(`nodes/${node}`, host ?? node), disk ? `/${disk}` : ""] : "–");
const end = (task) => {
  if (task.ended) return h("span", { title: time(task.ended) }, ago(task.ended));
  return task.state === "RUNNING" ? `${span(task.age_ms)}${task.timeout_ms ? ` of ${span(task.timeout_ms)}` : ""}` : span(task.age_ms);
};

export function how(task) {
  if (task.kind === "DELETE") return task.state === "RUNNING" ? "waits for proof of the others" : "";
  if (task.state === "RUNNING") return progress(task.bytes_done, task.bytes_total, `${bytes(task.bytes_done)} of ${bytes(task.bytes_total)}, ${rate(task.bytes_per_s)}`);
  return task.state === "FINISHED" && task.bytes_done ? bytes(task.bytes_done) : "";
}

export const taskColumns = [
  ["Tablet", (task) => link(`tablets/${task.tablet}`, task.tablet)],
  ["Table", (task) => named(task.table), "minor"],
  ["Kind", (task) => [lower(task.kind) || "–", " ", task.type === "BALANCE" ? badge("balance", "info") : null]],
  ["State", (task) => state(task.state)],
  ["For", (task) => state(task.status)],
  ["Priority", (task) => lower(task.priority), "minor"],
  ["From", (task) => place(task.src_host, task.src_node, task.src_disk), "minor"],
  ["To", (task) => place(task.dest_host, task.dest_node, task.dest_disk)],
  ["Progress", how],
  ["Age", end, "num"],
  ["Tries failed", (task) => count(task.failures), "num minor"],
  ["Reason", (task) => refusal(task.reason) ?? "", "wrap"],
];

const NONE = {
  running: "Nothing is being copied or deleted.",
  pending: "Nothing waits: no tablet is ill, or its wait is not over.",
  history: "No task has ended yet.",
};

export function view({ tasks, next }, { tab, params }) {
  const tabs = h("div", { class: "tabs" }, TABS.map(([key, text]) => h("a", { href: `#/tasks/${key}`, "aria-current": key === tab ? "page" : null }, text)));
  const to = (after) => `#/tasks/${tab}${after === null ? "" : `?after=${after}`}`;
  return [
    head("Tasks"), tabs,
    panel(TABS.find(([key]) => key === tab)[1], h("div", null, tight(table(taskColumns, tasks, (task) => `${task.id ?? "p"}-${task.tablet}`, NONE[tab], "stack")), pager(tasks.length, "tasks", params, next, to)),
      grow(), note(tab === "pending" ? "in the order in which they go" : tab === "history" ? "newest first" : "")),
  ];
}
