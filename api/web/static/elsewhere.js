// What is said in the open conversation on other devices and in other tabs, shown here as it happens.

import { PAGE } from "./messages.js";

export class Elsewhere {
  constructor(conversation) {
    Object.assign(this, { conversation, latest: null, following: null });
    /** When the messages that are shown were the newest. */
    this.shown = "";
  }

  /** Show what is new in what the server says of the conversation; of several answers the last one is enough. */
  async show(found) {
    this.latest = found;
    this.following ??= this.follow().finally(() => { this.following = null; });
    await this.following;
  }

  async follow() {
    const { conversation } = this;
    while (this.latest !== null) {
      // What is on its way from here may be part of it.
      await conversation.untilHeard();
      const found = this.latest;
      this.latest = null;
      await this.showMessages(found);
      await this.join(found.pending);
    }
  }

  /** While turns run nothing else changes, and each brings the newest messages with its end. */
  async showMessages(found) {
    const { conversation, shown } = this;
    if (conversation.isBusy || found.updated_at <= shown) return;
    const page = await conversation.newestPage(PAGE);
    // A turn may have come and gone meanwhile, and have brought newer ones.
    if (!conversation.isBusy && this.shown === shown) conversation.update(found, page);
  }

  /** Go on with the turns that have not ended. @param {string[]} pending their jobs, in order */
  async join(pending) {
    for (const job of pending) {
      if (this.conversation.knows(job)) continue;
      const turn = await this.turnOf(job);
      // It may have been heard of meanwhile.
      if (turn === null || this.conversation.knows(job)) continue;
      this.conversation.run(turn, { before: this.next(job, pending) });
    }
  }

  /** What this browser, or else the server, knows of a turn; null where nothing is to be seen of it any more. */
  async turnOf(job) {
    const ours = this.conversation.ours().find((one) => one.job === job);
    if (ours) return ours;
    try {
      const { prompt = null, replace_from = null, continues = false, status } = await this.conversation.look(`/jobs/${job}`);
      if (status === "failed" || status === "cancelled") return null;
      return { key: null, job, body: { prompt, replace_from, continue: continues } };
    } catch (error) {
      if (error.status !== 404) throw error;
      // It has ended, and is not kept any more.
      return null;
    }
  }

  /** The turn that comes behind a new one, or null. What is not pending has ended if it had begun, and else comes later. */
  next(job, pending) {
    const earlier = new Set(pending.slice(0, pending.indexOf(job)));
    const isLater = ({ turn, hasStarted }) => !earlier.has(turn.job) && (pending.includes(turn.job) || !hasStarted);
    return this.conversation.line.turns.find(isLater) ?? null;
  }
}
