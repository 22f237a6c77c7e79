// Which page is shown, and when it is drawn anew: on a new address, and when the stream says that something it shows
// has changed. One load is under way at a time; what changes meanwhile is one more load.

import { all, get, maybe } from "./api.js";
import { closeAll, confirm, failed, toast } from "./dialog.js";
import { h, show } from "./dom.js";
import { lower, plural, time } from "./format.js";
import { listen } from "./live.js";
import { badge, button, empty, kindOf, worst } from "./parts.js";
import { begin, forget, logout, session, setAway } from "./session.js";
import * as balance from "./pages/balance.js";
import * as events from "./pages/events.js";
import * as login from "./pages/login.js";
import * as node from "./pages/node.js";
import * as nodes from "./pages/nodes.js";
import * as overview from "./pages/overview.js";
import * as plan from "./pages/plan.js";
import * as plans from "./pages/plans.js";
import * as tables from "./pages/tables.js";
import * as tablet from "./pages/tablet.js";
import * as tablets from "./pages/tablets.js";
import * as tasks from "./pages/tasks.js";

const NAV = [["", "Overview", overview], ["nodes", "Nodes", nodes], ["tables", "Tables", tables], ["tasks/running", "Tasks", tasks], ["balance", "Balance", balance], ["plans", "Plans", plans], ["events", "Events", events]];
const ROUTES = [
  [/^$/, overview, []], [/^nodes$/, nodes, []], [/^nodes\/(\d+)$/, node, ["id"]],
  [/^tables$/, tables, []], [/^tables\/([^/]+)\/([^/]+)$/, tablets, ["db", "name"]],
  [/^tablets$/, tablets, []], [/^tablets\/(\d+)$/, tablet, ["id"]],
  [/^tasks\/(running|pending|history)$/, tasks, ["tab"]], [/^balance$/, balance, []],
  [/^plans$/, plans, []], [/^plans\/(\d+)$/, plan, ["id"]], [/^events$/, events, []],
];
/// Between two loads: changes come in four times a second at most.
const PACE_MS = 700;
/// Ages grow and waits end without any change.
const REFRESH_MS = 20_000;
/// A restart takes less; after it, silence is told.
const AWAY_MS = 3000;
const THEME = "stele.theme";

const main = document.getElementById("main");
let here = null, loading = false, due = false, isLive = false, status = null, drawn = 0;
/// What the page on the screen was made of; when the coordinator was last heard; whether it is taken for gone.
let last = null, heardAt = new Date(), isAway = false;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const params = new URLSearchParams(query);
  for (const [pattern, page, names] of ROUTES) {
    const found = pattern.exec(path);
    if (found) return { page, path, args: { ...Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(found[at + 1])])), params } };
  }
  return { page: null, path, args: { params } };
}

function turn() {
  if (location.hash === "#main" || session().role === null) return;
  here = route();
  document.title = here.page ? `${here.page.title} · Stele` : "Stele";
  closeAll();
  main.dataset.state = "loading";
  scrollTo(0, 0);
  frame();
  document.querySelector("#nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  again();
}

async function again() {
  if (session().role === null) return;
  if (loading) return void (due = true);
  [loading, due] = [true, false];
  const { page, path, args } = here;
  try {
    const [data, now] = await Promise.all([page ? page.load(args) : null, page === overview ? null : get("status")]);
    if (path !== here.path || page?.isUnfinished?.(data)) due = true;
    if (path === here.path) {
      status = now ?? data.status;
      last = { page, path, data, args };
      answered();
      draw();
      main.dataset.state = "ready";
      main.dataset.drawn = ++drawn;
      main.dataset.page = path;
    }
  } catch (problem) {
    if (problem.status === 0 && !isLive) lookAway();
    if (problem.status === 401) askWho();
    else if (path === here.path) broken(problem);
  }
  frame();
  setTimeout(() => {
    loading = false;
    if (due) again();
  }, path === here.path ? PACE_MS : 0);
}

function draw() {
  const { page, data, args } = last;
  show(main, page ? page.view(data, args) : empty("There is no such page."));
  if (page?.called) document.title = `${page.called(data, args)} · Stele`;
}

function answered() {
  heardAt = new Date();
  if (isAway) setAwayTo(false);
}

/// What is on the screen stays, says how old it is, and offers nothing; all of it comes back by itself.
function lookAway() {
  if (!isLive && !isAway && Date.now() - heardAt > AWAY_MS) setAwayTo(true);
}

function setAwayTo(to) {
  isAway = to;
  setAway(to);
  if (last && last.path === here.path && session().role !== null) draw();
  frame();
}

function broken(problem) {
  const text = [problem.message, problem.next ? `; ${problem.next}` : ""];
  if (problem.status === 404 || main.dataset.page !== here.path) show(main, h("p", { class: "banner", role: "alert" }, text));
  main.dataset.state = "broken";
  // A coordinator that restarts is back in a moment; then the stream is, too.
  if (problem.status === undefined) throw problem;
}

/// Until somebody is known there is nothing to be seen.
function askWho() {
  forget();
  hangUp();
  status = null;
  const drawForm = () => show(main, login.view(known, drawForm));
  drawForm();
  main.dataset.state = "login";
  main.dataset.page = "";
  main.querySelector("input")?.focus();
  frame();
}

function known() {
  show(main, empty("Loading…"));
  turn();
}

async function leave() {
  await logout();
  askWho();
}

function frame() {
  const ill = status?.problems.length ?? 0;
  show(document.getElementById("bar"), [
    h("a", { class: "brand", href: "#/" }, h("img", { src: "web/icon.svg", alt: "" }), "Stele"),
    status ? h("span", { class: "cluster" }, `${status.cluster.slice(0, 8)} · epoch ${status.epoch} · ${status.version}`) : null,
    status ? h("a", { href: "#/", id: "pill" }, isAway ? badge("unknown") : badge(ill ? plural(ill, "problem") : "healthy", worst(status.problems))) : null,
    status && !isAway && status.level !== "LIVELY" ? badge(lower(status.level), kindOf(status.level)) : null,
    h("span", { class: "grow" }),
    session().role === null ? null : h("input", { class: "jump", type: "search", placeholder: "tablet, node or table   /", "aria-label": "Go to a tablet, a node or a table", onkeydown: jump }),
    session().role === null ? null : h("span", { class: `live ${isLive ? "on" : "off"}`, id: "live", title: isLive ? "Changes show by themselves" : "No connection; it is tried again" }, h("span", { class: "word" }, isLive ? "live" : "not connected")),
    session().users && session().role !== null ? [
      h("span", { id: "who", title: session().role === "viewer" ? "A viewer looks and changes nothing" : `Logged in as ${session().name}` }, `${session().name} · ${session().role}`),
      button("Log out", leave, "small", { id: "leave" }),
    ] : null,
    button(document.documentElement.dataset.theme === "dark" ? "☀" : "☾", switchTheme, "plain", { id: "theme", "aria-label": "Dark or light" }),
    button("?", help, "plain", { "aria-label": "Keys" }),
  ]);
  show(document.getElementById("away"), isAway ? h("p", { class: "banner" }, `no answer from the coordinator since ${time(heardAt)}; what is shown is as of then`) : []);
  const first = (path) => path.split("/")[0].replace("tablets", "tables");
  show(document.getElementById("nav"), session().role === null ? [] : h("div", { class: "inner" }, NAV.map(([path, text], at) =>
    h("a", { href: `#/${path}`, "aria-current": first(path) === first(here.path) ? "page" : null }, text, h("kbd", null, at + 1)))));
}

async function jump(event) {
  const text = event.target.value.trim();
  if (event.key !== "Enter" || !text) return;
  const place = event.target;
  place.value = "";
  place.blur();
  try {
    const found = await find(text);
    if (found) location.hash = `#/${found}`;
    else toast(`nothing is called "${text}"`, "bad");
  } catch (problem) {
    failed(problem);
  }
}

/// The page of what is called so: a node by host or number, a disk's node, a tablet, a table with or without its db.
async function find(text) {
  const { nodes } = await all("nodes");
  const node = nodes.find((one) => String(one.id) === text || one.host === text || one.disks.some((disk) => String(disk.id) === text));
  if (node) return `nodes/${node.id}`;
  if (/^\d+$/.test(text)) return (await maybe(get(`tablets/${text}`))) && `tablets/${text}`;
  const { tables } = await all("tables");
  const named = tables.filter((one) => one.name === text || `${one.db}.${one.name}` === text);
  return named.length === 1 ? `tables/${encodeURIComponent(named[0].db)}/${encodeURIComponent(named[0].name)}` : named.length ? "tables" : null;
}

const wish = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  document.documentElement.dataset.theme = localStorage.getItem(THEME) ?? (wish.matches ? "dark" : "light");
}
function switchTheme() {
  const [other, own] = [document.documentElement.dataset.theme === "dark" ? "light" : "dark", wish.matches ? "dark" : "light"];
  if (other === own) localStorage.removeItem(THEME);
  else localStorage.setItem(THEME, other);
  theme();
  frame();
}

function help() {
  const keys = [["1 … 7", "the pages"], ["/", "go to a tablet, a node or a table"], ["r", "draw anew"], ["t", "dark or light"], ["?", "these keys"], ["Esc", "close"]];
  confirm({ title: "Keys", content: [h("dl", { class: "pair" }, keys.map(([key, text]) => [h("dt", null, h("kbd", null, key)), h("dd", null, text)]))] });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.nodeName) || document.querySelector("dialog[open]")) return;
  const deed = { "/": () => document.querySelector(".jump")?.focus(), t: switchTheme, r: again, "?": help }[event.key];
  const nav = NAV[Number(event.key) - 1];
  if (nav) location.hash = `#/${nav[0]}`;
  else if (deed) deed();
  else return;
  event.preventDefault();
});

function heard(kind, { changed }) {
  answered();
  const topics = here.page?.topics ?? [];
  if (kind === "reset" || topics === "all" || changed.some((topic) => topic === "health" || topics.includes(topic))) {
    if (!document.hidden) again();
    else due = true;
  }
}

wish.onchange = theme;
addEventListener("hashchange", turn);
addEventListener("visibilitychange", () => !document.hidden && again());
setInterval(() => !document.hidden && again(), REFRESH_MS);
theme();
here = route();
frame();
const hangUp = listen(heard, (on) => {
  if (on) answered();
  else if (isLive) setTimeout(() => !isLive && again(), AWAY_MS + PACE_MS);
  else lookAway();
  isLive = on;
  frame();
  if (on) again();
});
/// A coordinator that is starting answers soon.
async function start() {
  try {
    (await begin()) ? turn() : askWho();
  } catch (problem) {
    const why = problem.code ? [problem.message, problem.next ? `; ${problem.next}` : ""] : "The coordinator does not answer; it is asked again.";
    show(main, h("p", { class: "banner", role: "alert" }, why));
    setTimeout(start, 1000);
  }
}
start();
