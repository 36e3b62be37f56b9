// What a user of Anthropic's Node client does, and what it must see: `anthropic_node.mjs <url> <model>`.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const [url, model] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: "sk-of-a-test", maxRetries: 0 });
const ask = { model, max_tokens: 64, messages: [{ role: "user", content: "hello" }] };
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

const answer = await client.messages.create(ask);
assert.equal(answer.content[0].text, "Hello, world!");
assert.equal(answer._request_id, "req_1");

const streamed = await client.messages.stream(ask).finalMessage();
assert.equal(streamed.content[0].text, "Hello, world!");
assert.equal(streamed.usage.output_tokens, 12);

const called = await client.messages.stream({ ...ask, tools }).finalMessage();
assert.equal(called.stop_reason, "tool_use");
assert.deepEqual(called.content[1].input, { city: "Oslo" });

assert.equal((await client.messages.countTokens({ model, messages: ask.messages })).input_tokens, 14);

await assert.rejects(client.messages.create({ ...ask, model: "unheard-of" }), Anthropic.NotFoundError);

console.log("ok");
