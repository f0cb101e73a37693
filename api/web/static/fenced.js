// Blocks of code in Markdown that nothing in their text ends.

/** The shortest fence that does not stand in the text. */
function fenceFor(text) {
  let longest = 2;
  for (const [run] of text.matchAll(/`{3,}/g)) longest = Math.max(longest, run.length);
  return "`".repeat(longest + 1);
}

export function fenced(text, language) {
  const fence = fenceFor(text);
  return `${fence}${language}\n${text}\n${fence}`;
}
