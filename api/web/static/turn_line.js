// The turns of one conversation that have not ended, in their order.
//
// Only the first is followed: a browser opens few connections to one server.

export class TurnLine {
  /** @param {AbortSignal} leaving ends all waiting */
  constructor(leaving) {
    Object.assign(this, { leaving, turns: [], waiting: [] });
    leaving.addEventListener("abort", () => this.changed());
  }

  /** The first that was accepted. */
  get first() {
    return this.turns.find((one) => one.turn.job !== null);
  }

  /** @param {object|null} before the one that comes next */
  add(turn, before) {
    const { first } = this;
    this.turns.splice(before === null ? this.turns.length : this.turns.indexOf(before), 0, turn);
    if (this.first !== first) first?.pause();
    this.changed();
  }

  delete(turn) {
    this.turns = this.turns.filter((one) => one !== turn);
    this.changed();
  }

  changed() {
    for (const look of this.waiting.splice(0)) look();
  }

  /** Returns once it is so; an AbortError where the conversation is left. */
  async until(isSo) {
    while (!isSo()) {
      await new Promise((resolve) => { this.waiting.push(resolve); });
      this.leaving.throwIfAborted();
    }
  }
}
