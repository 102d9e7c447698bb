// What screen readers are told: others' new messages, an answer once it has come to rest.

import { asPlain } from "./markup.js";
import { userOf } from "./message.js";

const AT_REST_MS = 1500;
const LONGEST_CHARS = 400;

/** Tell of new messages in the open channel through a live region. */
export function announceMessages(region, app) {
  const { store } = app;
  const waiting = new Map();
  const say = (message) => {
    const text = asPlain(message.content.slice(0, LONGEST_CHARS), app.names) || "A file";
    region.textContent = `${userOf(message, store).name}: ${text}`;
  };
  store.on("message", ({ message, isNew }) => {
    if (message.channel_id !== store.channelId || message.author.id === store.me || !store.sees(message)) return;
    const timer = waiting.get(message.id);
    if (!isNew && !timer) return;
    clearTimeout(timer);
    waiting.set(message.id, setTimeout(() => {
      waiting.delete(message.id);
      say(message);
    }, message.author.bot ? AT_REST_MS : 0));
  });
  store.on("snapshot open", () => {
    for (const timer of waiting.values()) clearTimeout(timer);
    waiting.clear();
  });
}
