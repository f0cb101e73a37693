// What the address names.

/** The conversation, and a message of it: `#12`, `#12/3`; null where none is named. */
export function addressed() {
  const [, id, number] = /^#([1-9]\d{0,15})(?:\/([1-9]\d{0,15}))?$/.exec(location.hash) ?? [];
  return { id: id ? Number(id) : null, number: number ? Number(number) : null };
}
