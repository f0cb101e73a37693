// What a growing text holds that the server has not rendered yet: text, and boxes of code.

const OPENS = /^[ \t]*(`{3,}|~{3,})([^`\n]*)\n?$/;
/** A last line of which the rest may make a fence, or change its language. */
const UNFINISHED = /(?:^|\n)([ \t]*(?:`+|~+)[^`\n]*)$/;

/** How much of a text the server may render: not a line that may still become another fence. */
export function settled(text) {
  const match = UNFINISHED.exec(text);
  return match ? text.slice(0, text.length - match[1].length) : text;
}

const closes = (line, fence) => {
  const mark = line.trim();
  return mark.length >= fence.length && mark === fence[0].repeat(mark.length);
};

const mayClose = (line, fence) => {
  const mark = line.trim();
  return mark !== "" && !line.endsWith("\n") && mark === fence[0].repeat(mark.length);
};

/**
 * A text's pieces in order, as `{ code, info, text }`. `fence` is the one of the box in which the text
 * begins, "" outside one; `isLine` whether it begins a line.
 */
export function pieces(text, fence = "", isLine = true) {
  const found = [{ code: fence !== "", info: "", text: "" }];
  text.split(/(?<=\n)/).forEach((line, index) => {
    const opening = index > 0 || isLine ? OPENS.exec(line) : null;
    if (fence && (index > 0 || isLine) && closes(line, fence)) {
      fence = "";
      found.push({ code: false, info: "", text: "" });
    } else if (!fence && opening) {
      fence = opening[1];
      found.push({ code: true, info: opening[2].trim(), text: "" });
    } else if (!(fence && mayClose(line, fence))) {
      found.at(-1).text += line;
    }
  });
  return found;
}
