// What can be done from the page. Each asks a check or a plan first, shows it, and acts only when it is confirmed.

import { check, get, post, put, remove } from "./api.js";
import { confirm, failed, owner, toast, who } from "./dialog.js";
import { h } from "./dom.js";
import { bytes, count, eta, lower, part, percent, plural, time } from "./format.js";
import { empty, pairs } from "./parts.js";

const box = (kind, ...inner) => h("div", { class: `box ${kind}` }, inner);

/// Runs a deed; a problem is shown, never thrown away.
async function doing(deed, done) {
  try {
    const result = await deed();
    if (result !== null && done) toast(typeof done === "function" ? done(result) : done);
    return result;
  } catch (problem) {
    failed(problem);
    return null;
  }
}

const BLOCKERS_MAX = 8;
const more = (found) => {
  const left = (found.blocked ?? found.blockers.length) - Math.min(BLOCKERS_MAX, found.blockers.length);
  return left > 0 ? h("li", null, `and ${count(left)} more`) : null;
};

const blockers = (found) =>
  found.blockers?.length
    ? box("bad", h("b", null, `${plural(found.blocked ?? found.blockers.length, "tablet")} in the way`),
        h("ul", { class: "plain" }, found.blockers.slice(0, BLOCKERS_MAX).map((one) => h("li", null, one.tablet ? `tablet ${one.tablet} ${one.table ?? ""}: ` : "", one.detail)), more(found)))
    : null;

function evacuation(found) {
  const fullest = found.fullest;
  return [
    box(found.fits ? "ok" : "bad", h("b", null, found.fits ? "Everything finds a place." : "Not everything finds a place.")),
    pairs([
      ["Tablets", count(found.tablets)],
      ["Copies to make", `${count(found.copies)}, ${bytes(found.bytes)}`],
      ["Fullest disk after", fullest ? `${fullest.host} ${fullest.path}: ${percent(fullest.used_percent)}` : "–"],
    ]),
    blockers(found),
  ];
}

/// `what`: "nodes" or "disks".
export const drain = (what, id, name) =>
  doing(async () => {
    const { found } = await check(`${what}/drain`, { [what]: [id], check: true });
    const asked = await confirm({
      title: `Drain ${name}?`,
      content: [h("p", null, "All its replicas are copied elsewhere first, then they leave it. Nothing is lost meanwhile, and it can be taken back."), evacuation(found)],
      fields: who(),
      action: found.fits ? "Drain it" : "Drain it all the same",
      kind: found.fits ? "main" : "danger",
      force: found.fits ? null : "I know that some of it will stay until there is room",
    });
    if (!asked) return null;
    const wish = { [what]: [id], force: asked.force, owner: owner(asked.owner), reason: asked.reason };
    const { refused } = await check(`${what}/drain`, wish);
    if (refused) throw refused;
    return true;
  }, `Drain of ${name} began`);

export const undrain = (what, id, name) =>
  doing(async () => {
    const asked = await confirm({
      title: `Take the drain of ${name} back?`,
      content: [h("p", null, "It takes copies again. What has left it does not come back by itself, except to make hosts even.")],
      action: "Take it back",
    });
    return asked && (await post(`${what}/undrain`, { [what]: [id] }), true);
  }, `${name} takes copies again`);

const TIMES = [["1800000", "30 minutes"], ["3600000", "1 hour"], ["7200000", "2 hours"], ["28800000", "8 hours"], ["86400000", "1 day"]];

export const maintain = (id, name) =>
  doing(async () => {
    const { found } = await check(`nodes/${id}/remove`, { check: true });
    const kind = found.last > 0 ? "bad" : found.below_majority > 0 ? "warn" : "ok";
    const asked = await confirm({
      title: `Maintenance of ${name}?`,
      content: [
        h("p", null, "For this time its silence starts no repair, unless one copy of a tablet is left. It ends by itself."),
        box(kind, found.last > 0 ? "Some tablets have their last copy there: they cannot be read while it is away." : found.below_majority > 0 ? "Some tablets cannot be loaded while it is away." : "Every tablet can be read and loaded while it is away."),
        pairs([["Tablets with a copy there", count(found.tablets)], ["Without a majority then", count(found.below_majority)], ["Their last copy there", count(found.last)]]),
      ],
      fields: [{ name: "time", label: "For", options: TIMES, value: "3600000" }, ...who()],
      action: "Begin maintenance",
      kind: kind === "bad" ? "danger" : "main",
      force: kind === "bad" ? "I know that these tablets are away with it" : null,
    });
    if (!asked) return null;
    return post("leases", { on: { kind: "maintenance", node: id }, for_ms: Number(asked.time), owner: owner(asked.owner), reason: asked.reason });
  }, `Maintenance of ${name} began`);

export const endMaintenance = async (id, name) => {
  const leases = await doing(async () => (await get("leases")).leases);
  const lease = leases?.find((one) => one.on.kind === "maintenance" && one.on.node === id);
  if (lease) return endLease(lease, `maintenance of ${name}`);
  if (leases) toast(`${name} is not in maintenance any more`);
};

export const endLease = (lease, name) =>
  doing(async () => {
    const asked = await confirm({
      title: `End it now?`,
      content: [pairs([["What", name], ["By", lease.owner || "–"], ["Why", lease.reason || "–"], ["Would end", lease.until ? time(lease.until) : "never"]])],
      action: "End it",
    });
    return asked && (await remove(`leases/${lease.id}`), true);
  }, "It is over");

/// Sick tablets of a table, or one tablet, before all others.
export const repairFirst = (on, name, found) =>
  doing(async () => {
    const asked = await confirm({
      title: `Repair ${name} first?`,
      content: [h("p", null, "Its sick tablets go before all others for this time. Slots and limits stay as they are."), found],
      fields: [{ name: "time", label: "For", options: TIMES, value: "7200000" }, ...who()],
      action: "Repair it first",
    });
    if (!asked) return null;
    return post("leases", { on, for_ms: Number(asked.time), owner: owner(asked.owner), reason: asked.reason });
  }, `${name} goes first`);

export const verify = (table) =>
  doing(async () => {
    const asked = await confirm({
      title: table ? `Read every copy of ${table}?` : "Read every copy?",
      content: [h("p", null, "All bytes are held against their digests where they lie. What is found is repaired.")],
      action: "Begin to read",
    });
    return asked && post("verify", { table: table ?? null });
  }, (begun) => `Verification ${begun.id} reads ${plural(begun.replicas, "replica")}`);

const LEVELS = [
  ["LIVELY", "everything"], ["STEADY", "repair, but nothing moves only to even out"], ["FREEZED", "loads, but no repair"],
  ["BLIND", "reports are read, nothing is ordered"], ["STOPPED", "nothing is received and nothing decided"],
];

export const setLevel = () =>
  doing(async () => {
    const now = await get("level");
    const asked = await confirm({
      title: "How much may be done?",
      content: [
        pairs([["In force", lower(now.level)], ["Set", lower(now.set)], ["Because", now.cause ?? "nothing holds it down"]]),
        h("ul", { class: "plain" }, LEVELS.map(([name, means]) => h("li", null, h("b", null, lower(name)), `: ${means}`))),
      ],
      fields: [{ name: "level", label: "Level", options: LEVELS.map(([name]) => [name, lower(name)]), value: now.set }, ...who()],
      action: "Set it",
    });
    return asked && put("level", { level: asked.level, by: owner(asked.owner), reason: asked.reason });
  }, (level) => `Level is ${lower(level.level)}`);

export const makePlan = (what, name) =>
  doing(async () => {
    const plan = await post("plans", { what, owner: owner(localStorage.getItem("stele.name")), reason: "" });
    location.hash = `#/plans/${plan.id}`;
    return plan;
  }, (plan) => `Plan ${plan.id}${name ? ` for ${name}` : ""}: ${plural(plan.price.moves, "move")}; nothing has moved`);

export function price(plan) {
  const { price } = plan;
  const bound = price.bytes_lower_bound_fair;
  return pairs([
    ["Moves", `${count(price.moves)}, ${bytes(price.bytes)}`],
    bound !== null && bound !== undefined && ["Least possible", bytes(bound)],
    ["Takes", eta(price.eta_s)],
    ["Fewest complete copies meanwhile", price.copies_min ?? "–"],
    ["Fullest disk after", price.fullest ? `${price.fullest.host} ${price.fullest.path}: ${percent(price.fullest.used_percent)}` : "–"],
    ...Object.keys(price.before).map((medium) => [
      `Spread, ${medium}`,
      `${part(price.before[medium].used_percent_max - price.before[medium].used_percent_min)} → ${part(price.after[medium].used_percent_max - price.after[medium].used_percent_min)}`,
    ]),
    price.blocked > 0 && ["Find no place", plural(price.blocked, "tablet")],
  ]);
}

export const applyPlan = (plan) =>
  doing(async () => {
    const asked = await confirm({
      title: `Apply plan ${plan.id} (${plan.what.kind})?`,
      content: [plan.price.moves ? price(plan) : empty("It moves nothing."), blockers(plan.price)],
      action: "Apply it",
    });
    return asked && post(`plans/${plan.id}/apply`);
  }, `Plan ${plan.id} is being carried out`);

export const cancelPlan = (plan) =>
  doing(async () => {
    const asked = await confirm({
      title: `Call plan ${plan.id} off?`,
      content: [h("p", null, plan.state === "RUNNING" ? "Copies under way end; what has moved stays where it is." : "It was not applied; nothing has moved.")],
      action: "Call it off",
    });
    return asked && post(`plans/${plan.id}/cancel`);
  }, `Plan ${plan.id} is called off`);
