// Pages of `GET /conversations`, one request each.

const PAGE = 50;
/** As many as the server gives at once. */
const LARGEST = 500;

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

  /** All pinned ones, in as few requests as the server allows. */
  async pinned() {
    const found = [];
    for (let before = null; ;) {
      const page = await this.get({ pinned: true, limit: LARGEST, before });
      found.push(...page.conversations);
      if (page.next === null) return found;
      before = page.next;
    }
  }

  stop() {
    this.leaving.abort(new DOMException("the list is loaded again", "AbortError"));
    Object.assign(this, { next: null, isLoading: false });
  }

  async load(before) {
    const page = await this.get({ limit: PAGE, query: this.query, before });
    this.next = page.next;
    return page.conversations;
  }

  /** A page; parameters that are null are left out. */
  async get(wanted) {
    const { signal } = this.leaving;
    const parameters = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== null));
    this.isLoading = true;
    try {
      const page = await this.client.untilAnswered("GET", `/conversations?${parameters}`, { signal });
      signal.throwIfAborted();
      return page;
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }
}
