// Live events: server-sent events over fetch, because EventSource cannot send a token in a header.

import { send } from "./api.js";

const AGAIN_MS = 2000;

/**
 * Calls `onEvent({ id, type, data })` for each event until the signal; after a break it goes on after the last one.
 * `onState("open" | "closed", error)` tells how the connection is.
 */
export async function follow(path, { signal, onEvent, onState }) {
  let last = null;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      const response = await send(path, { headers, signal });
      onState("open", null);
      for await (const event of read(response.body)) {
        last = event.id ?? last;
        onEvent(event);
      }
      onState("closed", null);
    } catch (error) {
      if (signal.aborted) return;
      onState("closed", error);
      if (error.status >= 400 && error.status < 500) return;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function* read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

function parse(block) {
  const event = { id: null, type: "message", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "id") event.id = value;
    else if (field === "event") event.type = value;
    else if (field === "data") event.data += (event.data ? "\n" : "") + value;
  }
  return event.data ? { ...event, data: JSON.parse(event.data) } : null;
}
