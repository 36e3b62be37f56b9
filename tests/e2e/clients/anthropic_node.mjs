// What a user of Anthropic's Node client does, and what it must see: `anthropic_node.mjs <url> <model>`.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const [url, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: "sk-of-a-test", maxRetries: 0 });
const ask = { model, max_tokens: 64, messages: [{ role: "user", content: "Hello, world!" }] };
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

const answer = await client.messages.create(ask);
assert.equal(answer.content[0].text, "Hello, world!");
assert.equal(typeof answer._request_id, "string");

const streamed = await client.messages.stream(ask).finalMessage();
assert.equal(streamed.content[0].text, "Hello, world!");
assert.ok(streamed.usage.output_tokens > 0);

const messages = [{ role: "user", content: "How is 'Oslo'?" }];
const called = await client.messages.stream({ ...ask, messages, tools }).finalMessage();
assert.equal(called.stop_reason, "tool_use");
const call = called.content.at(-1);
assert.deepEqual(call.input, { city: "Oslo" });
messages.push({ role: "assistant", content: called.content });
messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "rain in Oslo" }] });
assert.match((await client.messages.create({ ...ask, messages, tools })).content[0].text, /rain in Oslo/);

const counted = await client.messages.countTokens({ model: "claude-haiku-4-5", messages });
assert.equal(counted.input_tokens, 14);

await assert.rejects(client.messages.create({ ...ask, model: "unheard-of" }), Anthropic.NotFoundError);

console.log("ok");
