// What users of Google's Node client do, and what they must see: `genai_node.mjs <url> <event>`.
import assert from "node:assert/strict";
import { GoogleGenAI } from "@google/genai";

const [url, event] = process.argv.slice(2);
const model = "gemini-2.5-flash";
const headers = { "x-tidegate-event-id": event };
const { models } = new GoogleGenAI({ apiKey: "of-a-test", httpOptions: { baseUrl: url, headers } });

const answer = await models.generateContent({ model, contents: "hello tide" });
assert.equal(answer.text, "hello tide");
const { promptTokenCount, candidatesTokenCount, thoughtsTokenCount = 0, totalTokenCount } = answer.usageMetadata;
assert.equal(totalTokenCount, promptTokenCount + candidatesTokenCount + thoughtsTokenCount);

let text = "";
for await (const part of await models.generateContentStream({ model, contents: "hello tide" })) text += part.text;
assert.equal(text, "hello tide");

const parametersJsonSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const config = { tools: [{ functionDeclarations: [{ name: "weather", parametersJsonSchema }] }] };
const contents = [{ role: "user", parts: [{ text: "How is 'Oslo'?" }] }];
const called = await models.generateContent({ model, contents, config });
assert.deepEqual(called.functionCalls[0].args, { city: "Oslo" });
const response = { output: "rain in Oslo" };
contents.push(called.candidates[0].content);
contents.push({ role: "user", parts: [{ functionResponse: { name: "weather", response } }] });
assert.match((await models.generateContent({ model, contents, config })).text, /rain in Oslo/);

assert.equal((await models.countTokens({ model: "gemini-2.5-pro", contents: "hello tide" })).totalTokens, 7);
const embedded = await models.embedContent({ model: "gemini-embedding-001", contents: ["a", "b"] });
assert.equal(embedded.embeddings.length, 2);

await assert.rejects(
  models.generateContent({ model, contents: "fail with 429" }),
  (error) => error.status === 429 && error.message.includes("RESOURCE_EXHAUSTED"),
);

console.log("ok");
