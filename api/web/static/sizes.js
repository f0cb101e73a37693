// Sizes of files and texts.

import { number } from "./language.js";

const KB = 1000;
const MB = 1_000_000;

/** For people. @param {number} bytes */
export function sizeOf(bytes) {
  if (bytes < KB) return number(bytes, { style: "unit", unit: "byte", unitDisplay: "long" });
  const [size, unit] = bytes < MB ? [bytes / KB, "kilobyte"] : [bytes / MB, "megabyte"];
  return number(size, { style: "unit", unit, maximumFractionDigits: size < 10 ? 1 : 0 });
}

/** For prompts: the same in every language and browser, because files are found in prompts by it. */
export function sizeInPrompt(bytes) {
  if (bytes < KB) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const [size, unit] = bytes < MB ? [bytes / KB, "kB"] : [bytes / MB, "MB"];
  return `${size.toLocaleString("en", { maximumFractionDigits: size < 10 ? 1 : 0 })} ${unit}`;
}

/** The bytes of a text in UTF-8. */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}
