// Where the server lists no conversations, nothing tells what happens to the open one: it is looked at now and then.

import { pause } from "./client.js";
import { untilVisible } from "./visible.js";

const LOOK_MS = 4000;

/**
 * Look as long as the page lives, and while it can be seen.
 * @param {{open: () => number|null, told: (found: object) => void, gone: (id: number) => void}} page
 */
export async function lookAtOpen(client, { open, told, gone }) {
  for (;;) {
    await pause(LOOK_MS);
    await untilVisible();
    const id = open();
    if (id === null) continue;
    try {
      told(await client.untilAnswered("GET", `/conversations/${id}`));
    } catch (error) {
      if (error.status === 404) gone(id);
    }
  }
}
