// The list of conversations.

import { byId, element } from "./dom.js";
import * as store from "./store.js";

const LISTED = 100;

let drawn = "";

export function drawSidebar(current, open) {
  const wanted = JSON.stringify([current, store.conversations()]);
  // Who is in the list with the keyboard stays there.
  if (wanted === drawn) return;
  drawn = wanted;
  const items = store.conversations().map(({ id, name }) => {
    const link = element("button", { type: "button", textContent: name, title: name });
    if (id === current) link.setAttribute("aria-current", "page");
    link.addEventListener("click", () => open(id));
    return element("li", {}, link);
  });
  byId("conversations").replaceChildren(...items);
  byId("no-conversations").hidden = items.length > 0;
}

/** Add what the key's owner began elsewhere. */
export async function learnFromServer(client) {
  const listed = await client.json("GET", `/conversations?limit=${LISTED}`);
  const known = new Set(store.conversations().map((one) => one.id));
  const found = [];
  for (const one of listed.conversations) {
    if (!known.has(one.id)) found.push({ id: one.id, name: await firstPrompt(client, one) });
  }
  store.learn(found);
}

/** What a conversation that was begun elsewhere is called here. */
export async function firstPrompt(client, conversation) {
  if (conversation.turns === 0) return "A conversation without messages";
  const page = await client.json("GET", `/conversations/${conversation.id}/messages?limit=1&before=2`);
  return store.nameOf(page.messages[0]?.content ?? `Conversation ${conversation.id}`);
}
