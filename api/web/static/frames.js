// Work that is done once a frame, however often it is asked for: more could not be seen.

export class EachFrame {
  /** @param {() => void} work */
  constructor(work) {
    this.work = work;
    this.asked = null;
  }

  /** Do it before the next frame; in a page that is out of sight, when it comes into it. */
  soon() {
    this.asked ??= requestAnimationFrame(() => this.now());
  }

  /** Do it at once if it was asked for. */
  now() {
    if (this.asked === null) return;
    cancelAnimationFrame(this.asked);
    this.asked = null;
    this.work();
  }
}
