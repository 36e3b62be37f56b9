// What users of Vercel's `ai` do, and what they must see: `vercel_node.mjs <url> <event>`.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

const [url, event] = process.argv.slice(2);
const same = { apiKey: "sk-of-a-test", headers: { "x-tidegate-event-id": event } };
const openai = createOpenAI({ baseURL: `${url}/v1`, ...same });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, ...same });
const google = createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, ...same });

const tools = {
  weather: tool({
    description: "Say what the weather of a city is.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `rain in ${city}`,
  }),
};

async function check(model) {
  const ask = { model, maxRetries: 0, maxOutputTokens: 64 };
  const answer = await generateText({ ...ask, prompt: "hello tide" });
  assert.equal(answer.text, "hello tide");
  assert.ok(answer.usage.totalTokens > 0);

  const streamed = streamText({ ...ask, prompt: "hello tide" });
  let text = "";
  for await (const part of streamed.textStream) text += part;
  assert.equal(text, "hello tide");
  assert.equal(await streamed.finishReason, "stop");
  assert.ok((await streamed.usage).totalTokens > 0);

  const loop = { ...ask, prompt: "How is 'Oslo'?", tools, stopWhen: isStepCount(3) };
  const looped = await generateText(loop);
  assert.match(looped.text, /rain in Oslo/);
  assert.equal(looped.steps.length, 2);
  const streamedLoop = streamText(loop);
  assert.match(await streamedLoop.text, /rain in Oslo/);
  assert.deepEqual((await streamedLoop.steps)[0].toolCalls[0].input, { city: "Oslo" });

  const schema = z.object({ name: z.string(), people: z.number().int() });
  const { object } = await generateObject({ ...ask, prompt: "A city?", schema });
  assert.equal(typeof object.name, "string");

  await assert.rejects(generateText({ ...ask, prompt: "fail with 429" }), (error) => error.statusCode === 429);
}

await check(openai("gpt-4o-mini")); // responses
await check(openai.chat("gpt-4o-mini"));
await check(anthropic("claude-sonnet-4-6"));
await check(google("gemini-2.5-flash"));
const { embeddings } = await embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["a", "b"] });
assert.equal(embeddings.length, 2);

console.log("ok");
