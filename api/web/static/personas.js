// The library of personas: instructions under a name. The server keeps it; where that keeps none, this browser.

import { t } from "./language.js";
import * as store from "./store.js";

/** To begin with, until there are better ones. */
export const SUGGESTED = [
  { name: t("suggested.teacher"), context: t("suggested.teacher_text") },
  { name: t("suggested.editor"), context: t("suggested.editor_text") },
  { name: t("suggested.storyteller"), context: t("suggested.storyteller_text") },
];
const LONGEST_SLUG = 40;

/** Its id for good: readable, and unlike those that other browsers make. */
export function idFor(name) {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9]+/g, " ").trim();
  const suffix = Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [...plain.slice(0, LONGEST_SLUG).split(" ").filter(Boolean), suffix].join("-");
}

export class Personas {
  /** @param {() => void} changed called when `kept` is another list */
  constructor(client, changed) {
    Object.assign(this, { client, changed, kept: [], isServers: true, loading: null });
    this.own = store.slot("personas", []);
  }

  /** Read what is kept, once at a time. Throws what the client does, but for a server without a library. */
  load() {
    this.loading ??= this.read().finally(() => { this.loading = null; });
    return this.loading;
  }

  async read() {
    const before = this.kept;
    const { personas } = await this.orHere(() => this.client.untilAnswered("GET", "/personas"), () => ({ personas: this.own.read() }));
    // What was kept or deleted here meanwhile is not in it, perhaps.
    if (this.kept === before) this.show(personas);
  }

  /** Make one, or replace the one with its id. @param {{id: string, name: string, context: string, model?: string}} persona */
  async keep({ id, name, context, model }) {
    const body = { name, context, ...(model && { model }) };
    const made = await this.orHere(() => this.client.untilAnswered("PUT", `/personas/${id}`, { body }), () => ({ id, ...body }));
    this.show([...this.without(id), made]);
  }

  async remove(id) {
    await this.orHere(() => this.client.untilAnswered("DELETE", `/personas/${id}`).catch((error) => {
      // Deleted elsewhere, or this server has no library: the list knows.
      if (error.status !== 404) throw error;
    }), () => {});
    this.show(this.without(id));
  }

  /** The one with these instructions, kept or suggested; null where it is somebody's own words. */
  with(context) {
    return [...this.kept, ...SUGGESTED].find((persona) => persona.context.trim() === context) ?? null;
  }

  without(id) {
    return this.kept.filter((persona) => persona.id !== id);
  }

  async orHere(onServer, here) {
    if (!this.isServers) return here();
    try {
      return await onServer();
    } catch (error) {
      if (error.status !== 404) throw error;
      this.isServers = false;
      return here();
    }
  }

  show(personas) {
    this.kept = personas.toSorted((one, other) => one.name.localeCompare(other.name));
    if (!this.isServers) this.own.write(this.kept);
    this.changed();
  }
}
