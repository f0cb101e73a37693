// The AI SDK with an OpenAI-compatible provider: a reply, and a stream.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const provider = createOpenAICompatible({ name: "palaver", baseURL: `${process.argv[2]}v1` });
const request = { model: provider("any"), prompt: "Hello" };
const whole = await generateText(request);
console.log(JSON.stringify([whole.text, await streamText(request).text]));
