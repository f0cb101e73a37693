// Files that people attach, read as text.

import { fitName } from "./attached.js";
import { t } from "./language.js";
import { sizeOf } from "./sizes.js";

export const LARGEST_FILE = 1_000_000;
/** What texts do not have; tabs, line breaks, form feeds and escapes are left. */
const BINARY = /[\u0000-\u0007\u000e-\u001a\u007f\ufffe\uffff]/;
const ENCODINGS = [[[0xff, 0xfe], "utf-16le"], [[0xfe, 0xff], "utf-16be"]];

/** A file that cannot be attached; its message says why, in plain words. */
export class NotAttached extends Error {}

/**
 * A file's `{name, content}`: lines end with a line feed, the last one without.
 * Throws NotAttached.
 */
export async function readText(file) {
  const name = fitName(file.name);
  if (file.size > LARGEST_FILE) {
    throw new NotAttached(t("attach.too_large", { name, limit: sizeOf(LARGEST_FILE) }));
  }
  const text = decoded(await bytesIn(file, name));
  if (text === null || BINARY.test(text)) throw new NotAttached(t("attach.no_text", { name }));
  const content = text.replaceAll(/\r\n?/g, "\n").replace(/\n$/, "");
  if (content.trim() === "") throw new NotAttached(t("attach.empty", { name }));
  return { name, content };
}

async function bytesIn(file, name) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    // A folder, or a file that is gone.
    throw new NotAttached(t("attach.unreadable", { name }));
  }
}

/** The text, or null where it is none. */
function decoded(bytes) {
  const [, encoding = "utf-8"] = ENCODINGS.find(([mark]) => mark.every((byte, place) => bytes[place] === byte)) ?? [];
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
