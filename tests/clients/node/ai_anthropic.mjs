// The AI SDK with Anthropic's provider: a reply, and a stream.
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText, streamText } from "ai";

const provider = createAnthropic({ baseURL: `${process.argv[2]}v1`, apiKey: "none" });
const request = { model: provider("any"), prompt: "Hello" };
const whole = await generateText(request);
console.log(JSON.stringify([whole.text, await streamText(request).text]));
