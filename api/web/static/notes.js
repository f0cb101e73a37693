// What is kept with a conversation beside its messages, in its metadata: its persona's name, its settings.
//
// A new conversation has none on the server: its notes stay in this tab until it is accepted. What the
// server has not stored yet stays in this browser, and is sent again when the conversation is opened.

import * as store from "./store.js";

export class Notes {
  constructor(client) {
    Object.assign(this, { client, known: new Map(), sending: Promise.resolve() });
    this.fresh = store.slot("fresh", {}, { isOfTab: true });
    this.unsent = store.slot("notes", {});
  }

  /** Names with texts. @param {number|null} id null: of the conversation that is to begin in this tab */
  of(id) {
    if (id === null) return this.fresh.read();
    return changed(this.known.get(id) ?? {}, this.unsent.read()[id] ?? {});
  }

  /** The server's metadata of a conversation that was opened. */
  learn(id, metadata) {
    this.known.set(id, metadata);
    if (this.unsent.read()[id]) this.send(id);
  }

  /** @param {Object<string, string|null>} changes null takes a note away */
  change(id, changes) {
    if (id === null) {
      this.fresh.write(changed(this.fresh.read(), changes));
      return;
    }
    this.keepUnsent(id, { ...this.unsent.read()[id], ...changes });
    this.send(id);
  }

  /** A conversation was accepted that was begun with these. */
  began(id, notes) {
    // What is chosen meanwhile is for the one after it.
    if (Object.entries(this.fresh.read()).every(([name, text]) => notes[name] === text)) this.fresh.write({});
    if (Object.keys(notes).length > 0) this.change(id, notes);
  }

  /** It is gone with its first turn: what is said next begins another one in the same way. */
  gone(id) {
    // Its persona is in the composer, its model chosen for new ones anyway.
    const { persona: _, model: __, ...settings } = this.of(id);
    this.fresh.write(settings);
    this.keepUnsent(id, null);
  }

  keepUnsent(id, changes) {
    const { [id]: _, ...others } = this.unsent.read();
    this.unsent.write(changes === null ? others : { ...others, [id]: changes });
  }

  /** One after the other: each replaces all metadata. */
  send(id) {
    this.sending = this.sending.then(() => this.store(id)).catch((error) => {
      // What is gone needs no notes. Anything else stays here, and holds here.
      if (error.status === 404) this.keepUnsent(id, null);
    });
    return this.sending;
  }

  async store(id) {
    const sent = this.unsent.read()[id];
    if (!sent) return;
    const path = `/conversations/${id}`;
    const { metadata: before } = await this.client.untilAnswered("GET", path);
    const metadata = changed(before, sent);
    await this.client.untilAnswered("PATCH", path, { body: { metadata } });
    this.known.set(id, metadata);
    if (same(sent, this.unsent.read()[id])) this.keepUnsent(id, null);
  }
}

function changed(notes, changes) {
  return Object.fromEntries(Object.entries({ ...notes, ...changes }).filter(([, text]) => text !== null));
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
