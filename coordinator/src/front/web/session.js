// Who is logged in. A login is changed for a token that ends by itself; it is sent with each request by us and by nobody
// else, so that no other page can act in its name. The password is kept nowhere.

import { button } from "./parts.js";

const TOKEN = "stele.session";
const RANK = { viewer: 0, operator: 1, admin: 2 };

/// The coordinator does not answer: what is shown is old, and nothing can be asked of it.
let away = false;
export const setAway = (to) => (away = to);

/// `users`: one has to log in here. `name`, `role`: null before that.
let now = { name: null, role: null, users: false };
export const session = () => now;

/// A request without a token says so in our scheme: for the other one the browser would open a window of its own.
export const headers = (more) => ({ ...more, Authorization: `Bearer ${localStorage.getItem(TOKEN) ?? "none"}` });

/// True once somebody is known, or nobody needs to be. Where nobody can be (no users, and not from this machine), an
/// error says so, with its code and the next step.
export async function begin() {
  const answer = await fetch("v1/session", { headers: headers() });
  if (!answer.ok) {
    const { detail, code, next } = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(detail ?? `status ${answer.status}`), { code, next });
  }
  now = await answer.json();
  return now.role !== null;
}

/// `secret`: {name, password} or {token}. Resolves to null, or to why not.
export async function login(secret) {
  let answer;
  try {
    answer = await fetch("v1/session", { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(secret) });
  } catch {
    return "the coordinator does not answer";
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) return body.detail ?? `status ${answer.status}`;
  localStorage.setItem(TOKEN, body.token);
  now = { name: body.name, role: body.role, users: true };
  return null;
}

export async function logout() {
  await fetch("v1/session", { method: "DELETE", headers: headers() }).catch(() => null);
  forget();
}

/// The token is worth nothing any more.
export function forget() {
  localStorage.removeItem(TOKEN);
  now = { name: null, role: null, users: true };
}

/// A button for what not everybody may do: it says why it cannot be pressed.
export function deed(role, text, onclick, kind = "", more = {}) {
  if (away) return button(text, null, kind, { ...more, disabled: true, title: "the coordinator does not answer" });
  if (RANK[now.role] >= RANK[role]) return button(text, onclick, kind, more);
  return button(text, null, kind, { ...more, disabled: true, title: `needs the role ${role}; ${now.name} is ${now.role}` });
}
