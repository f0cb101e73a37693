// The server's list of conversations, as far as it was loaded.

import { Pages } from "./list_pages.js";

/** So many changes at a time are not looked at one by one. */
const MANY = 10;
const GATHER_MS = 100;

export class ConversationList {
  /**
   * @param {{changed: () => void, told: (conversation: object) => void, gone: (id: number) => void,
   *   failed: (error: Error) => void}} view `told`: what the server says of the open one
   */
  constructor(client, view) {
    Object.assign(this, { client, view });
    this.pages = new Pages(client);
    /** What is known of each conversation: all that was loaded, and the open one. */
    this.known = new Map();
    this.horizon = "";
    this.open = null;
    this.isLoaded = false;
    /** Events that came while a page was on its way: it may be older than they are. */
    this.waiting = [];
    this.stale = new Set();
    this.hidden = new Set();
  }

  /** Load it from the front. */
  async load() {
    const rows = await this.pages.first();
    this.known.clear();
    this.isLoaded = true;
    this.take(rows);
    if (this.open !== null && !this.known.has(this.open)) this.look(this.open);
    await this.loadPins();
  }

  /** Pinned ones come first, however old they are. */
  async loadPins() {
    for (const row of await this.pages.pinned()) if (!this.known.has(row.id)) this.put(row);
    this.catchUp();
  }

  async more() {
    if (!this.pages.isLoading) this.take(await this.pages.more());
  }

  get hasMore() {
    return this.pages.next !== null;
  }

  take(rows) {
    for (const row of rows) this.put(row);
    // Behind the last page nothing is missing.
    this.horizon = this.hasMore ? rows.at(-1)?.updated_at ?? this.horizon : "";
    this.catchUp();
  }

  catchUp() {
    for (const event of this.waiting.splice(0)) this.apply(event);
    this.view.changed();
  }

  put(row) {
    const { id, title, pinned, updated_at } = row;
    this.known.set(id, { id, title, pinned, updated_at });
    if (id === this.open) this.view.told(row);
  }

  /** Those to be shown, the last used one first; beyond what was loaded only pinned ones and the open one. */
  rows() {
    return [...this.known.values()]
      .filter((row) => !this.hidden.has(row.id) && (!this.isBeyond(row) || row.pinned || row.id === this.open))
      .sort((one, other) => (one.updated_at < other.updated_at ? 1 : one.updated_at > other.updated_at ? -1 : other.id - one.id));
  }

  isBeyond(row) {
    return row.updated_at < this.horizon;
  }

  titleOf(id) {
    return this.known.get(id)?.title ?? null;
  }

  /** Another conversation is open; null: none. */
  choose(id) {
    if (id === this.open) return;
    this.open = id;
    if (id !== null && this.isLoaded && !this.known.has(id)) this.look(id);
  }

  apply(event) {
    if (event.kind === "reset") this.reload();
    else if (this.pages.isLoading) this.waiting.push(event);
    else if (event.kind === "deleted") this.drop(event.data.id);
    else this.look(event.data.id);
  }

  reload() {
    this.waiting = [];
    this.guarded(this.load());
  }

  drop(id) {
    this.known.delete(id);
    this.hidden.delete(id);
    this.view.gone(id);
    this.view.changed();
  }

  /** Ask the server what a conversation is like now, soon. */
  look(id) {
    this.stale.add(id);
    this.timer ??= setTimeout(() => this.guarded(this.lookAtAll()), GATHER_MS);
  }

  async lookAtAll() {
    try {
      if (this.stale.size > MANY) {
        this.stale.clear();
        await this.load();
      }
      for (const id of this.stale) {
        this.stale.delete(id);
        await this.refresh(id);
      }
    } finally {
      this.timer = undefined;
    }
  }

  async refresh(id) {
    try {
      this.put(await this.client.untilAnswered("GET", `/conversations/${id}`));
      this.view.changed();
    } catch (error) {
      if (error.status !== 404) throw error;
      this.drop(id);
    }
  }

  /** Rename or pin: `{title}` or `{pinned}`. */
  async change(id, body) {
    this.put(await this.client.untilAnswered("PATCH", `/conversations/${id}`, { body }));
    this.view.changed();
  }

  /** Show it no more; it is deleted later, or shown again. */
  hide(id, isHidden = true) {
    if (isHidden) this.hidden.add(id);
    else this.hidden.delete(id);
    this.view.changed();
  }

  guarded(action) {
    action.catch((error) => { if (error.name !== "AbortError") this.view.failed(error); });
  }
}
