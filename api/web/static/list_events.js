// What happens in the server's list, as it happens.

import { untilVisible } from "./visible.js";

const PATH = "/conversations/events";

/**
 * Follow it as long as the page lives, and while it can be seen: a browser opens few connections
 * to one server, and each stream keeps one busy.
 *
 * Throws a Problem of status 404 where the server does not list conversations, and of 401.
 * @param {{connected: () => void, seen: (event: {kind: string, data: object}) => void}} listener
 *   `connected`: load the list now, and nothing is missed
 */
export async function followList(client, { connected, seen }) {
  let after = null;
  for (;;) {
    await untilVisible();
    const leaving = new AbortController();
    const { signal } = leaving;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) leaving.abort(new DOMException("the page is hidden", "AbortError"));
    }, { signal });
    try {
      for await (const event of client.follow(PATH, { signal, after, connected })) {
        after = event.id;
        seen(event);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
