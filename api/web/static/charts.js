// Small line charts over time, whose values can be read with a pointer and with the keyboard.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 90;
const CLASSES = ["first", "second", "third"];
const LINES = ["solid", "dashed", "dotted"];
/** Seconds between two labels of the time axis. */
const STEPS_S = [5, 15, 30, 60, 120, 300, 600];
const MOST_TICKS = 5;
const MINUTE_S = 60;
/** A label nearer to an edge than this share would stick out. */
const EDGE = 0.06;
const PAGE = 10;

/**
 * The times to be labelled between two times, all in seconds since the epoch: round ones, few.
 * @returns {number[]}
 */
export function ticks(first, last) {
  const span = last - first;
  const step = STEPS_S.find((seconds) => span / seconds <= MOST_TICKS) ?? STEPS_S.at(-1);
  const inner = [first + EDGE * span, last - EDGE * span];
  const times = [];
  for (let time = Math.ceil(inner[0] / step) * step; span > 0 && time <= inner[1]; time += step) times.push(time);
  return times;
}

/** The index of the time that is nearest to a share (0 to 1) of the whole time; -1 if there are none. */
export function nearest(times, share) {
  const wanted = times[0] + share * (times.at(-1) - times[0]);
  const distances = times.map((time) => Math.abs(time - wanted));
  return distances.indexOf(Math.min(...distances));
}

/** Where a key moves from an index of so many points; null for other keys. */
export function moved(key, index, count) {
  const targets = {
    ArrowLeft: index - 1, ArrowDown: index - 1, ArrowRight: index + 1, ArrowUp: index + 1,
    PageDown: index - PAGE, PageUp: index + PAGE, Home: 0, End: count - 1,
  };
  return key in targets ? Math.max(0, Math.min(count - 1, targets[key])) : null;
}

/** @param {number} time in seconds since the epoch */
export const clock = (time, withSeconds) => new Date(time * 1000).toLocaleTimeString([], {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(withSeconds ? { second: "2-digit" } : {}),
});

export class LineChart {
  /**
   * @param {string} title
   * @param {string[]} names one for each series
   * @param {(value: number) => string} format
   */
  constructor(title, names, format) {
    this.title = title;
    this.names = names;
    this.format = format;
    /** The time whose values are shown; null for the latest. */
    this.chosen = null;
    this.times = [];
    this.series = names.map(() => []);
    this.build();
  }

  build() {
    this.figure = made("figure");
    const caption = made("figcaption", "", this.title);
    this.values = made("strong");
    this.plot = made("div", "plot");
    this.highest = made("span", "highest");
    this.axis = made("div", "times");
    this.axis.setAttribute("aria-hidden", "true");
    this.svg = document.createElementNS(SVG, "svg");
    set(this.svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const legend = made("p", "legend", this.names.map((name, n) => (
      this.names.length > 1 ? `${name} (${LINES[n]})` : name)).join(" · "));
    caption.append(this.values);
    this.plot.append(this.highest, this.svg);
    this.figure.append(caption, this.plot, this.axis, legend);
    // One walks through its values, and changes none.
    set(this.plot, { role: "slider", tabindex: 0, "aria-label": this.title, "aria-readonly": "true" });
    this.listen();
  }

  listen() {
    this.plot.addEventListener("pointermove", ({ clientX }) => {
      const { left, width } = this.plot.getBoundingClientRect();
      this.choose(nearest(this.times, (clientX - left) / (width || 1)));
    });
    this.plot.addEventListener("pointerleave", () => this.choose(null));
    this.plot.addEventListener("blur", () => this.choose(null));
    this.plot.addEventListener("keydown", (event) => {
      const index = moved(event.key, this.index(), this.times.length);
      if (index === null || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.choose(index);
    });
  }

  /** @param {number[]} times in seconds since the epoch  @param {(number|null)[][]} series values; null where there is none */
  update(times, series) {
    this.times = times;
    this.series = series;
    const highest = Math.max(...series.flat().map((value) => value ?? 0), 0);
    const marks = ticks(times[0], times.at(-1));
    this.highest.textContent = this.format(highest);
    this.svg.replaceChildren(
      ...marks.map((time) => vertical(this.x(time), "grid")),
      line({ x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "axis" }),
      ...series.flatMap((values, n) => this.lines(values, highest || 1, CLASSES[n])),
    );
    this.cursor = this.svg.appendChild(vertical(0, "cursor"));
    this.axis.replaceChildren(...marks.map((time) => this.label(time, marks)));
    this.show();
  }

  label(time, marks) {
    const isFine = marks.length > 1 && marks[1] - marks[0] < MINUTE_S;
    const shown = made("span", "", clock(time, isFine));
    shown.style.left = `${(100 * this.x(time)) / WIDTH}%`;
    return shown;
  }

  x(time) {
    const span = this.times.at(-1) - this.times[0];
    return span > 0 ? (WIDTH * (time - this.times[0])) / span : WIDTH;
  }

  /** The index of what is shown; a time that has left the chart is that of its first point. */
  index() {
    if (this.chosen === null) return this.times.length - 1;
    return Math.max(0, this.times.findLastIndex((time) => time <= this.chosen));
  }

  choose(index) {
    this.chosen = index === null || index === this.times.length - 1 ? null : this.times[index] ?? null;
    this.isRead = index !== null;
    this.show();
  }

  show() {
    const index = this.index();
    if (index < 0) return;
    const values = this.series.map((each) => (each[index] === null ? "–" : this.format(each[index])));
    const time = clock(this.times[index], true);
    this.values.textContent = (this.isRead ? `${time}: ` : "") + values.join(" · ");
    set(this.cursor, { x1: this.x(this.times[index]), x2: this.x(this.times[index]), visibility: this.isRead ? "visible" : "hidden" });
    set(this.plot, {
      "aria-valuemin": 0, "aria-valuemax": this.times.length - 1, "aria-valuenow": index,
      "aria-valuetext": `${time}: ${this.names.map((name, n) => `${name} ${values[n] === "–" ? "unknown" : values[n]}`).join(", ")}`,
    });
  }

  /** One line for each stretch without gaps. */
  lines(values, highest, className) {
    const stretches = [[]];
    values.forEach((value, index) => {
      if (value === null) stretches.push([]);
      else stretches.at(-1).push(`${this.x(this.times[index]).toFixed(1)},${(HEIGHT * (1 - value / highest)).toFixed(1)}`);
    });
    return stretches.filter((points) => points.length > 0).map((points) => {
      const drawn = document.createElementNS(SVG, "polyline");
      set(drawn, { points: points.join(" "), class: className });
      return drawn;
    });
  }
}

function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function line(attributes) {
  const drawn = document.createElementNS(SVG, "line");
  set(drawn, attributes);
  return drawn;
}

const vertical = (x, className) => line({ x1: x, x2: x, y1: 0, y2: HEIGHT, class: className });
