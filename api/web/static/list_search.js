// Conversations that have all words of a query, in their titles or messages.

import { Pages } from "./list_pages.js";

/** Shorter than the pause between two keys of most people: what was found follows each of them. */
const TYPING_MS = 50;

export class ListSearch {
  /** @param {{changed: () => void, found: () => void, failed: (error: Error) => void}} view */
  constructor(client, view) {
    Object.assign(this, { view, query: "", hits: [], isLoaded: false });
    this.pages = new Pages(client);
  }

  get isOn() {
    return this.query !== "";
  }

  get hasMore() {
    return this.pages.next !== null;
  }

  /** Look for something else, once it is typed; nothing ends the search. */
  type(text) {
    clearTimeout(this.timer);
    const query = text.trim();
    if (query === this.query) return;
    if (query === "") this.end();
    else this.timer = setTimeout(() => this.look(query), TYPING_MS);
  }

  end() {
    clearTimeout(this.timer);
    this.pages.stop();
    Object.assign(this, { query: "", hits: [], isLoaded: false });
    this.view.changed();
  }

  look(query) {
    this.query = query;
    this.guarded(this.pages.first(query).then((found) => {
      this.hits = found;
      this.isLoaded = true;
      this.view.changed();
      this.view.found();
    }));
  }

  async more() {
    if (this.pages.isLoading) return;
    this.hits.push(...await this.pages.more());
    // Also for a page without hits: it may lead on.
    this.view.changed();
  }

  drop(id) {
    this.hits = this.hits.filter((hit) => hit.id !== id);
  }

  /** The hits as `list` knows them now, and without those that it hides. */
  rows(list) {
    return this.hits.filter(({ id }) => !list.hidden.has(id)).map((hit) => ({ ...hit, ...list.known.get(hit.id) }));
  }

  guarded(action) {
    action.catch((error) => { if (error.name !== "AbortError") this.view.failed(error); });
  }
}
