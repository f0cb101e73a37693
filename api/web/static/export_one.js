// The open conversation as a file.

import { byId, save } from "./dom.js";
import { exported } from "./export_all.js";
import { markdownOf } from "./exporting.js";

/** @param {"json"|"markdown"} type */
export async function exportAs(type, client, id) {
  const conversation = await exported(client, id);
  const title = byId("title").textContent;
  if (type === "json") save(`palaver-${id}.json`, "application/json", JSON.stringify(conversation, null, 2));
  else save(`palaver-${id}.md`, "text/markdown", markdownOf(title, conversation.context, conversation.messages));
}
