// Messages of a conversation, or of one of its alternatives, page by page.

/** As many as are shown at first. */
export const PAGE = 50;
/** As many as the server gives at once. */
export const LARGEST_PAGE = 500;

/** All messages under a path, oldest first. Throws as `Client.untilAnswered` does. */
export async function allMessages(client, path, signal) {
  const pages = [];
  for (let before = null; ;) {
    const query = `limit=${LARGEST_PAGE}${before ? `&before=${before}` : ""}`;
    const page = await client.untilAnswered("GET", `${path}/messages?${query}`, { signal });
    pages.unshift(page.messages);
    if (page.next === null) return pages.flat();
    before = page.next;
  }
}
