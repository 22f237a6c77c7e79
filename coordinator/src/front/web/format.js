// Numbers, sizes and times as people read them. Everything is aligned by the style sheet, nothing is rounded to nothing.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export const rate = (n) => (n > 0 ? `${bytes(n)}/s` : "–");
/// A thin space every three digits.
export const count = (n) => (n ?? 0).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
export const percent = (n) => `${(n ?? 0).toFixed(1)} %`;
/// Of a part of one.
export const part = (n) => percent((n ?? 0) * 100);

export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  const s = Math.floor(ms / 1000);
  if (ms < 1000) return `${ms} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/// From and to, in seconds: an honest interval.
export function eta(range) {
  if (!range) return "–";
  const [from, to] = range.map((s) => span(s * 1000));
  return from === to ? from : `${from} – ${to}`;
}

export function time(text) {
  if (!text) return "–";
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString()} `;
  return day + at.toLocaleTimeString([], { hour12: false });
}

/// When something ends: the day and seconds only where they are needed.
export function clock(text) {
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString()} `;
  return day + at.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" });
}

export const ago = (text) => (text ? `${span(Math.max(0, Date.now() - Date.parse(text)))} ago` : "–");
export const plural = (n, word, many = `${word}s`) => `${count(n)} ${n === 1 ? word : many}`;
/// The end of a path; the whole of it is its title.
export const tail = (path) => (path.split("/").length > 3 ? `…/${path.split("/").slice(-2).join("/")}` : path);
export const lower = (text) => (text ?? "").toLowerCase().replaceAll("_", " ");
