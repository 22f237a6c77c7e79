// The stream of what changes, read with fetch so that it can carry a token. After a break it goes on where it was.

import { headers, session } from "./session.js";

const RETRY_MS = 1000;
const QUIET_MS = 25_000;

/// `hear(kind, message)` for each message, of the kind "sign" for any sign of life; `turned(is_on)` when the stream comes and goes. Nothing is asked before
/// somebody is logged in. Gives back what ends the stream that is open; another one follows it.
export function listen(hear, turned) {
  let last = null, abort = new AbortController();
  const again = () => setTimeout(open, RETRY_MS);
  async function open() {
    if (session().role === null) return again();
    abort = new AbortController();
    let quiet = setTimeout(() => abort.abort(), QUIET_MS);
    try {
      const answer = await fetch("v1/events", { headers: headers(last ? { "Last-Event-ID": last } : {}), signal: abort.signal });
      // Who one was is over: the next load finds that out, and asks.
      if (answer.status === 401) hear("reset", {});
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      turned(true);
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(quiet);
        quiet = setTimeout(() => abort.abort(), QUIET_MS);
        hear("sign", { changed: [] });
        text += value;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const message = parse(text.slice(0, end));
          text = text.slice(end + 2);
          if (message.id) last = message.id;
          if (message.data) hear(message.event, JSON.parse(message.data));
        }
      }
    } catch {
      // It is tried again below; what is on the screen says that it is not live.
    }
    clearTimeout(quiet);
    turned(false);
    again();
  }
  open();
  return () => abort.abort();
}

function parse(text) {
  const message = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) message[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return message;
}
