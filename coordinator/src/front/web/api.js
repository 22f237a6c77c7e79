// Asking the coordinator: JSON under /v1, problems as errors that carry their code and the next step.

import { headers } from "./session.js";

/// A coordinator that takes longer to answer a question hangs.
const PATIENCE_MS = 30_000;

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `status ${status}`);
    this.body = body;
    this.code = body.code ?? "";
    this.next = body.next ?? "";
    this.status = status;
  }
}

async function ask(method, path, body) {
  let answer;
  try {
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    const key = method === "GET" ? {} : { "Idempotency-Key": newKey() };
    const signal = method === "GET" ? AbortSignal.timeout(PATIENCE_MS) : undefined;
    answer = await fetch(`v1/${path}`, {
      method,
      headers: headers({ ...json, ...key }),
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem({ code: "unreachable", detail: "the coordinator does not answer", next: "it may be restarting; this page tries again" }, 0);
  }
  const text = await answer.text();
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = { detail: text };
  }
  if (!answer.ok) throw new Problem(value, answer.status);
  return value;
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const get = (path, query) => ask("GET", path + queryOf(query));

/// A list that comes in pages, all of it.
export async function all(path) {
  const list = await get(path);
  while (list.next) {
    const page = await get(path, { after: list.next });
    list[path].push(...page[path]);
    list.next = page.next;
  }
  return list;
}

export const post = (path, body) => ask("POST", path, body ?? {});
export const put = (path, body) => ask("PUT", path, body);
export const remove = (path) => ask("DELETE", path);

/// A wish that a check may refuse: what was found is there either way.
export async function check(path, body) {
  try {
    return { found: await post(path, body), refused: null };
  } catch (problem) {
    if (problem.status !== 409) throw problem;
    return { found: problem.body, refused: problem };
  }
}

/// null instead of an error when it is not there.
export async function maybe(asked) {
  try {
    return await asked;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function queryOf(query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}
