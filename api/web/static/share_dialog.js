// The link under which everybody can read the open conversation: made, copied, renewed and taken back.

import { Problem } from "./client.js";
import { byId, copyButton } from "./dom.js";
import { date, t } from "./language.js";
import { describe } from "./plain.js";

/** In the server's words where it has no such links. */
const IS_OFF = "PALAVER_SHARING";
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export class ShareDialog {
  constructor(client) {
    Object.assign(this, { client, id: null, isKnown: false, dialog: byId("share-dialog") });
    byId("share-link").after(copyButton(() => byId("share-link").value));
    byId("share-local").hidden = !LOOPBACK.test(location.hostname);
    byId("share").addEventListener("click", () => this.open());
    byId("share-make").addEventListener("click", () => this.change("PUT", t("share.made")));
    byId("share-renew").addEventListener("click", () => this.change("PUT", t("share.renewed")));
    byId("share-end").addEventListener("click", () => this.change("DELETE", t("share.ended")));
    byId("share-close").addEventListener("click", () => this.dialog.close());
  }

  /** Another conversation may be open. The first one shows whether this server has links at all. */
  async choose(id) {
    if (id !== this.id) this.dialog.close();
    this.id = id;
    byId("share").disabled = id === null;
    if (id === null || this.isKnown) return;
    this.isKnown = true;
    try {
      await this.client.json("GET", this.path);
      byId("share").hidden = false;
    } catch (error) {
      const isThere = error instanceof Problem && error.status === 404;
      byId("share").hidden = !isThere || error.message.includes(IS_OFF);
      this.isKnown = isThere;
    }
  }

  get path() {
    return `/conversations/${this.id}/share`;
  }

  async open() {
    this.show(null);
    byId("share-make").hidden = true;
    byId("share-status").textContent = "";
    this.dialog.showModal();
    await this.act(async () => {
      this.show(await this.client.untilAnswered("GET", this.path).catch((error) => {
        if (error.status === 404) return null;
        throw error;
      }));
    });
  }

  /** @param {string} done what is said when the server has done it */
  async change(method, done) {
    await this.act(async () => {
      this.show(await this.client.untilAnswered(method, this.path));
      byId("share-status").textContent = done;
    });
  }

  /** What goes wrong is said in the dialog, which hides everything else. */
  async act(action) {
    const { id } = this;
    try {
      await action();
    } catch (error) {
      if (id === this.id) byId("share-status").textContent = describe(error);
    }
  }

  /** @param share the link, or null where there is none */
  show(share) {
    const hadFocus = this.dialog.contains(document.activeElement);
    for (const name of ["share-there", "share-renew", "share-end"]) byId(name).hidden = share === null;
    byId("share-make").hidden = share !== null;
    if (share !== null) {
      byId("share-link").value = new URL(share.path, location.origin).href;
      byId("share-at").textContent = t("share.at", { time: date(new Date(share.shared_at)) });
    }
    if (hadFocus) byId(share === null ? "share-make" : "share-link").focus();
  }
}
