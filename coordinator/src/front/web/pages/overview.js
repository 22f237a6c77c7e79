// How the whole cluster is: what is wrong and what helps, what may still fail, what is under way.

import { endLease, setLevel } from "../actions.js";
import { all, get } from "../api.js";
import { h } from "../dom.js";
import { ago, bytes, count, eta, lower, part, plural, rate, span, time } from "../format.js";
import { badge, body, command, empty, grow, head, histogram, kindOf, link, note, panel, pairs, progress, refusal, severity, state, table, tight, tile, usage, worst } from "../parts.js";
import { deed } from "../session.js";

export const title = "Overview";
export const topics = ["health", "nodes", "tables", "tablets", "tasks", "drains", "leases", "level", "loads", "knobs"];

export async function load() {
  const [status, nodes, tasks, events] = await Promise.all([
    get("status"), all("nodes"), get("tasks", { state: "running", limit: 200 }), get("events/recent", { limit: 8 }),
  ]);
  return { status, nodes: nodes.nodes, running: tasks, events: events.events };
}

export function view({ status, nodes, running, events }) {
  return [
    head("Overview", null, deed("admin", `Level: ${lower(status.level)}`, setLevel)),
    tiles(status),
    health(status),
    h("div", { class: "grid" }, copies(status), work(status, nodes, running)),
    h("div", { class: "grid" }, leases(status, nodes), happened(events)),
  ];
}

function tiles(status) {
  const { nodes, disks, margin } = status;
  const lost = nodes.silent + nodes.lost;
  const away = disks.suspect + disks.unavailable;
  const ill = status.tablets - (status.verdicts.HEALTHY ?? 0);
  return h("div", { class: "tiles" },
    tile("Nodes alive", `${count(nodes.alive)} of ${count(nodes.alive + lost)}`, lost ? `${nodes.silent} silent, ${nodes.lost} lost` : "all of them"),
    tile("Disks online", `${count(disks.online)} of ${count(disks.online + away)}`, away ? `${disks.suspect} suspect, ${disks.unavailable} unavailable` : "all of them"),
    tile("Tablets healthy", `${count(status.tablets - ill)} of ${count(status.tablets)}`, ill ? `${count(ill)} are not` : "all of them"),
    tile("Can still lose", margin ? plural(margin.hosts, "host") : "–",
      margin ? [plural(margin.disks, "disk"), margin.racks === null ? "" : `, ${plural(margin.racks, "rack")}`, "; weakest: ", link(`tablets/${margin.weakest}`, `tablet ${margin.weakest}`)] : "there is no data yet", margin ? ["bad", "warn"][margin.hosts] ?? "" : ""),
    tile("Used", bytes(status.bytes_used), `of ${bytes(status.bytes_total)}`),
    tile("Loads open", count(status.loads_open), status.strays ? plural(status.strays, "stray replica") : "no stray replicas"));
}

function health(status) {
  const problems = status.problems;
  const cards = problems.map((problem) => {
    const kind = severity(problem);
    return h("div", { class: `problem ${kind}`, "data-key": `${problem.code} ${problem.subject}` },
      h("div", { class: "line" }, badge(problem.code, kind), h("b", null, subject(problem.subject))),
      pairs([["Cause", problem.cause], ["Effect", problem.effect], ["What helps", command(problem.next)]]));
  });
  const sum = problems.length ? badge(plural(problems.length, "problem"), worst(problems)) : badge("all is well", "ok");
  const inner = problems.length ? cards : body(empty("Nothing is wrong: every tablet has all its copies, every node answers."));
  return h("div", { id: "health", "data-key": "health" }, panel("Health", h("div", null, inner), sum, grow(), note(`up for ${span(status.uptime_s * 1000)}`)));
}

function subject(text) {
  const [, kind, id] = /^(node|tablet) (\d+)$/.exec(text) ?? [];
  return kind ? link(`${kind}s/${id}`, text) : text;
}

function copies(status) {
  const rows = Object.entries(status.copies).map(([copies, n]) => ({ label: `${copies} complete`, n, kind: copies === "0" ? "bad" : copies === "1" ? "warn" : "" }));
  const verdicts = Object.entries(status.verdicts).filter(([, n]) => n > 0).map(([verdict, n]) => h("span", null, state(verdict), " ", count(n)));
  return panel("Copies", body(rows.length ? [histogram(rows, status.tablets), h("p", { class: "legend" }, verdicts)] : empty("There are no tablets yet.")),
    grow(), note(plural(status.tablets, "tablet"), " in ", plural(status.tables, "table")));
}

function work(status, nodes, running) {
  const tasks = running.tasks.filter((task) => task.kind !== "DELETE");
  const total = tasks.reduce((sum, task) => sum + task.bytes_total, 0);
  const done = tasks.reduce((sum, task) => sum + Math.min(task.bytes_done, task.bytes_total), 0);
  const speed = tasks.reduce((sum, task) => sum + task.bytes_per_s, 0);
  const left = speed > 0 ? span(((total - done) / speed) * 1000) : "–";
  const drains = nodes.filter((node) => node.drain_progress);
  const oldest = status.oldest;
  const { rates, preset } = { rates: status.limits, preset: status.limits.preset };
  const lines = [
    ["Running", status.tasks_running ? [progress(done, total, `${plural(status.tasks_running, "task")}, ${rate(speed)}, ${left} left`)] : "nothing"],
    ["Waiting", status.tasks_pending ? link("tasks/pending", plural(status.tasks_pending, "task")) : "nothing"],
    oldest && ["Ill for longest", [link(`tablets/${oldest.tablet}`, `tablet ${oldest.tablet}`), " ", state(oldest.status), ` for ${span(oldest.for_ms)}`, oldest.reason ? `: ${oldest.reason.detail}` : ""]],
    ["Balance", balance(status.balance)],
    ["Limits", [preset ? `${preset}: ` : "", limit("repair", rates.repair), ", ", limit("balance", rates.balance)]],
    ...drains.map((node) => [["Drain of ", link(`nodes/${node.id}`, node.host)], drain(node.drain_progress)]),
  ];
  return panel("Work", body(pairs(lines)), grow(), link("tasks/running", "tasks"));
}

function balance(line) {
  if (!line) return "has not looked yet";
  if (line.running + line.waiting > 0) return link("balance", `${count(line.running)} running, ${count(line.waiting)} waiting`);
  return line.idle ? ["idle: ", refusal(line.idle)] : "idle";
}

const limit = (name, of) => `${name} ${of && (of.disk || of.node) ? `${of.disk ? `${bytes(of.disk)}/s a disk` : "no limit a disk"}, ${of.node ? `${bytes(of.node)}/s a node` : "no limit a node"}` : "without limit"}`;

export function drain(of) {
  const text = of.state === "DRAINED" ? "drained" : `${count(of.tablets_left)} left, ${bytes(of.bytes_left)}, ${rate(of.bytes_per_s)}, ${of.stuck ? "stuck" : `ETA ${eta(of.eta_s)}`}`;
  return progress(of.tablets_moved, of.tablets, text);
}

export function leaseName(on, hosts = new Map()) {
  if (on.kind === "maintenance") return `maintenance of ${hosts.get(on.node) ?? `node ${on.node}`}`;
  if (on.kind === "urgent") return `${on.table}${on.partition ? `/${on.partition}` : ""} first`;
  if (on.kind === "urgent_tablet") return `tablet ${on.tablet} first`;
  const place = on.node ? ` on ${hosts.get(on.node) ?? `node ${on.node}`}` : on.disk ? ` on disk ${on.disk}` : on.table ? ` of ${on.table}` : "";
  return `pause of ${on.what}${place}`;
}

function leases(status, nodes) {
  const hosts = new Map(nodes.map((node) => [node.id, node.host]));
  const columns = [
    ["What", (lease) => leaseName(lease.on, hosts), "wrap"],
    ["By", (lease) => lease.owner || "–"],
    ["Why", (lease) => lease.reason || "–", "wrap"],
    ["Ends in", (lease) => (lease.ends_in_ms === null ? "never" : span(lease.ends_in_ms)), "num"],
    ["", (lease) => deed("operator", "End", () => endLease(lease, leaseName(lease.on, hosts)), "small"), "deeds"],
  ];
  return panel("Held for a time", tight(table(columns, status.leases, (lease) => lease.id, "No maintenance, no urgency, no pause.")));
}

function happened(events) {
  const columns = [
    ["When", (event) => h("span", { title: ago(event.at) }, time(event.at))],
    ["What", (event) => event.subject],
    ["", (event) => event.text, "wrap"],
  ];
  return panel("Lately", tight(table(columns, events, (event) => event.number, "Nothing has happened since this coordinator began.")), grow(), link("events", "events"));
}
