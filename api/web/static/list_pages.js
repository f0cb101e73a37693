// Pages of `GET /conversations`, one request each.

const PAGE = 50;

export class Pages {
  constructor(client) {
    Object.assign(this, { client, query: null, next: null, isLoading: false, leaving: new AbortController() });
  }

  /** The first page, of all conversations or of those that `query` finds; an AbortError if it is not wanted any more. */
  first(query = null) {
    this.stop();
    this.leaving = new AbortController();
    this.query = query;
    return this.load(null);
  }

  /** The page behind the last one; none while one is being loaded, or where that was the last. */
  async more() {
    return this.isLoading || this.next === null ? [] : this.load(this.next);
  }

  stop() {
    this.leaving.abort(new DOMException("the list is loaded again", "AbortError"));
    Object.assign(this, { next: null, isLoading: false });
  }

  async load(before) {
    const { signal } = this.leaving;
    const wanted = new URLSearchParams({ limit: PAGE });
    if (this.query !== null) wanted.set("query", this.query);
    if (before !== null) wanted.set("before", before);
    this.isLoading = true;
    try {
      const page = await this.client.untilAnswered("GET", `/conversations?${wanted}`, { signal });
      signal.throwIfAborted();
      this.next = page.next;
      return page.conversations;
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }
}
