// The list of conversations: the server's, or where that lists none this browser's own.

import { BrowserList } from "./browser_list.js";
import { announce, byId } from "./dom.js";
import { t } from "./language.js";
import { ConversationList } from "./list.js";
import { followList } from "./list_events.js";
import { ListSearch } from "./list_search.js";
import { ListView } from "./list_view.js";
import { lookAtOpen } from "./polling.js";
import * as store from "./store.js";
import { UndoNotice } from "./undo.js";

export class Sidebar {
  /**
   * @param page what else changes: `{changed(), told(conversation), open(id), left(id), gone(id), guarded(action), failed(error)}`;
   *   `told`: the server says what the open one is like now; `left`: the open conversation is being deleted; `gone`: one was deleted elsewhere
   */
  constructor(client, page) {
    Object.assign(this, { client, page, open: null });
    /** Null until it is known. */
    this.isServers = null;
    const view = { changed: () => this.changed(), told: page.told, gone: (id) => this.gone(id), failed: page.failed };
    this.list = new ConversationList(client, view);
    this.search = new ListSearch(client, { changed: () => this.view.draw(), found: () => this.found(), failed: page.failed });
    this.view = new ListView(this.list, this.search, {
      rename: (id, title) => page.guarded(() => this.rename(id, title)),
      pin: (id, pinned) => page.guarded(() => this.pin(id, pinned)),
      remove: (id, isByKeyboard) => this.remove(id, isByKeyboard),
      more: () => page.guarded(() => (this.search.isOn ? this.search : this.list).more()),
    });
    this.own = new BrowserList();
    this.undo = new UndoNotice();
    byId("search").addEventListener("input", () => this.search.type(byId("search").value));
  }

  /** Follow the server's list as long as the page lives. */
  async follow() {
    try {
      await followList(this.client, { connected: () => this.connected(), seen: (event) => this.seen(event) });
    } catch (error) {
      if (error.status !== 404) throw error;
      this.isServers = false;
      this.drawOwn();
      const { told, gone } = this.page;
      await lookAtOpen(this.client, { open: () => this.open, told, gone: (id) => gone(id) });
    }
  }

  connected() {
    this.isServers = true;
    byId("search").hidden = false;
    this.list.reload();
  }

  seen(event) {
    if (event.kind === "reset" && this.search.isOn) this.search.look(this.search.query);
    this.list.apply(event);
  }

  changed() {
    this.view.draw();
    this.page.changed();
  }

  found() {
    announce(t(this.search.hasMore ? "search.found_more" : "search.found", { count: this.search.hits.length }));
  }

  gone(id) {
    this.search.drop(id);
    this.page.gone(id);
  }

  /** This browser's own list may have changed. */
  drawOwn() {
    if (this.isServers === false) this.own.draw(this.open);
  }

  /** Another conversation may be open. */
  draw(open) {
    const isSame = open === this.open;
    this.open = open;
    this.drawOwn();
    if (isSame) return;
    this.list.choose(open);
    if (this.list.isLoaded) this.view.draw();
  }

  /** It was out of sight. */
  reveal() {
    this.view.bringIntoView(true);
  }

  /** What a conversation is called, or null where nothing is known of it. */
  titleOf(id) {
    return this.list.titleOf(id) ?? store.conversations().find((one) => one.id === id)?.name ?? null;
  }

  async rename(id, title) {
    await this.list.change(id, { title });
    announce(t("row.renamed"));
  }

  async pin(id, pinned) {
    await this.list.change(id, { pinned });
    announce(t(pinned ? "row.pinned" : "row.unpinned"));
  }

  /** Take it from the list; it is deleted once the notice that this can be undone is gone. */
  remove(id, takesFocus) {
    const wasOpen = id === this.open;
    const text = t("row.deleted", { name: this.titleOf(id) ?? t("row.number", { id: String(id) }) });
    this.list.hide(id);
    if (wasOpen) this.page.left();
    const done = () => this.page.guarded(() => this.delete(id));
    const undone = () => {
      this.list.hide(id, false);
      // Unless another one was opened meanwhile.
      if (wasOpen && this.open === null) this.page.open(id);
      this.view.rows.get(id)?.link.focus();
    };
    this.undo.show({ text, done, undone }, takesFocus);
  }

  async delete(id) {
    try {
      // Also while the page is being closed.
      await this.client.untilAnswered("DELETE", `/conversations/${id}`, { keepalive: true });
    } catch (error) {
      if (error.status !== 404) {
        this.list.hide(id, false);
        throw error;
      }
    }
    store.forget(id);
    this.list.drop(id);
  }
}
