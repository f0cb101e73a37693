// A conversation's messages, page by page.

/** As many as the server gives at once. */
export const LARGEST_PAGE = 500;

/** All messages of a conversation, oldest first. Throws as `Client.untilAnswered` does. */
export async function allMessages(client, id, signal) {
  const pages = [];
  for (let before = null; ;) {
    const query = `limit=${LARGEST_PAGE}${before ? `&before=${before}` : ""}`;
    const page = await client.untilAnswered("GET", `/conversations/${id}/messages?${query}`, { signal });
    pages.unshift(page.messages);
    if (page.next === null) return pages.flat();
    before = page.next;
  }
}
