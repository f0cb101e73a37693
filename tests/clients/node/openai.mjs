// OpenAI's client: a reply, and a stream.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}v1`, apiKey: "none" });
const messages = [{ role: "user", content: "Hello" }];
const whole = await client.chat.completions.create({ model: "any", messages });
let streamed = "";
const stream = await client.chat.completions.create({ model: "any", messages, stream: true });
for await (const chunk of stream) streamed += chunk.choices[0]?.delta?.content ?? "";
const response = await client.responses.create({ model: "any", input: "Hello" });
console.log(JSON.stringify([whole.choices[0].message.content, streamed, response.output_text]));
