// Anthropic's client: a reply, and a stream.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.argv[2].replace(/\/$/, ""), apiKey: "none" });
const request = {
  model: "any",
  max_tokens: 256,
  messages: [{ role: "user", content: "Hello" }],
};
const whole = await client.messages.create(request);
const streamed = await client.messages.stream(request).finalMessage();
console.log(JSON.stringify([whole.content[0].text, streamed.content[0].text]));
