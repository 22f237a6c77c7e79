// Elements out of plain calls, and the one way in which a page is brought up to date: what is on the screen is made
// like what was drawn anew, so that focus, selection, scroll and open details stay where they are.

const SVG = new Set(["svg", "path", "line", "text", "polyline", "g", "rect", "circle"]);
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected", "hidden"]);

/// h("td", {class: "num"}, 3): text is never read as HTML. `on...` takes functions, `style` an object.
export function h(tag, props, ...children) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node[name] = value;
    else if (name === "style") for (const [key, to] of Object.entries(value)) node.style.setProperty(key, to);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  put(node, children);
  return node;
}

function put(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) put(node, child);
    else if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/// Makes the children of `node` like `fresh` (a list of elements and texts).
export function show(node, fresh) {
  const wanted = document.createElement(node.localName);
  put(wanted, Array.isArray(fresh) ? fresh : [fresh]);
  children(node, wanted);
}

function children(old, wanted) {
  const known = new Map();
  for (const child of old.children) if (child.dataset?.key) known.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const want of [...wanted.childNodes]) {
    const key = want.dataset?.key;
    const match = key ? known.get(key) : at && !at.dataset?.key ? at : null;
    if (match && isLike(match, want)) {
      if (match !== at) old.insertBefore(match, at);
      else at = at.nextSibling;
      same(match, want);
    } else {
      old.insertBefore(want, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isLike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.dataset?.key ?? "") === (b.dataset?.key ?? "");
}

function same(old, want) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== want.data) old.data = want.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (name !== "style" && name !== "open" && !want.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (name !== "style" && name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.style && old.style.cssText !== want.style.cssText) old.style.cssText = want.style.cssText;
  for (const name of ["onclick", "onchange", "oninput", "onsubmit", "onkeydown"]) {
    if (old[name] !== want[name]) old[name] = want[name];
  }
  if ("disabled" in old && old.disabled !== want.disabled) old.disabled = want.disabled;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(old.nodeName)) {
    if (old.nodeName === "SELECT") children(old, want);
    // What somebody is typing is theirs.
    if (document.activeElement !== old && old.value !== want.value) old.value = want.value;
    return;
  }
  children(old, want);
}
