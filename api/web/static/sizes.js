// Sizes of files and texts, for people.

const KB = 1000;
const MB = 1_000_000;

/** @param {number} bytes */
export function sizeOf(bytes) {
  if (bytes < KB) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  const [size, unit] = bytes < MB ? [bytes / KB, "kB"] : [bytes / MB, "MB"];
  return `${size.toLocaleString("en", { maximumFractionDigits: size < 10 ? 1 : 0 })} ${unit}`;
}

/** The bytes of a text in UTF-8. */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}
