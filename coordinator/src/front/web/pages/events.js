// What has happened lately, newest first; what happens now comes in on top.

import { get } from "../api.js";
import { h } from "../dom.js";
import { lower, time } from "../format.js";
import { badge, grow, head, link, note, pager, panel, table, tight } from "../parts.js";

export const title = "Events";
export const topics = "all";
const PAGE = 200;
const BAD = new Set(["problem_began", "task_cancelled"]);
const GOOD = new Set(["problem_ended", "task_finished", "drain_done"]);

export const load = ({ params }) => get("events/recent", { limit: PAGE, after: params.get("after") });

function about(subject) {
  const [, kind, id] = /(node|tablet|plan) (\d+)$/.exec(subject) ?? [];
  return kind ? link(`${kind}s/${id}`, subject) : subject;
}

export function view({ events, next }, { params }) {
  const columns = [
    ["When", (event) => h("span", { title: event.at }, time(event.at))],
    ["Kind", (event) => badge(lower(event.kind), BAD.has(event.kind) ? "bad" : GOOD.has(event.kind) ? "ok" : ""), "minor"],
    ["About", (event) => [about(event.subject), h("div", { class: "narrow" }, event.text)], "wrap"],
    ["", (event) => event.text, "wrap minor"],
  ];
  const to = (after) => `#/events${after === null ? "" : `?after=${after}`}`;
  return [
    head("Events"),
    panel("Lately", h("div", null, tight(table(columns, events, (event) => event.number, "Nothing has happened since this coordinator began.")), pager(events.length, "events", params, next, to)),
      grow(), note("of this epoch; the log has all of them")),
  ];
}
