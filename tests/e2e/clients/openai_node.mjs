// What a user of the official Node client does, and what it must see: `openai_node.mjs <url> <what> <model>`.
import assert from "node:assert/strict";
import OpenAI from "openai";

const [url, what, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "sk-of-a-test", maxRetries: 0 });
const ask = (content) => [{ role: "user", content }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "integer" } },
        required: ["city", "days"],
      },
    },
  },
];

const checks = {
  async chat() {
    const { data, response } = await client.chat.completions
      .create({ model, messages: ask("hello tide") }, { headers: { "x-tidegate-event-id": "e2e-node" } })
      .withResponse();
    assert.ok(data.choices[0].message.content);
    assert.ok(data.usage.total_tokens > 0);
    assert.equal(response.headers.get("x-tidegate-event-id"), "e2e-node");
    assert.ok(response.headers.get("x-tidegate-call-id"));
  },
  async stream() {
    let text = "";
    let finish = null;
    for await (const chunk of await client.chat.completions.create({ model, messages: ask("hello tide"), stream: true })) {
      assert.ok(!chunk.usage, "a usage event nobody asked for");
      text += chunk.choices[0].delta.content ?? "";
      finish = chunk.choices[0].finish_reason ?? finish;
    }
    assert.ok(text);
    assert.ok(["stop", "length"].includes(finish));
    let usage = null;
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await client.chat.completions.create({ model, messages: ask("hello tide"), ...options })) {
      usage = chunk.usage ?? usage;
    }
    assert.ok(usage.total_tokens > 0);
  },
  async several() {
    const answer = await client.chat.completions.create({ model, messages: ask("hello tide"), n: 2 });
    assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1]);
  },
  async tools() {
    const answer = await client.chat.completions.create({ model, messages: ask("Weather in Paris?"), tools });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.equal(answer.choices[0].message.tool_calls[0].function.name, "get_weather");
    const final = await client.chat.completions.stream({ model, messages: ask("Weather?"), tools }).finalChatCompletion();
    assert.equal(final.choices[0].message.tool_calls[0].function.name, "get_weather");
  },
  async structured() {
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
    const answer = await client.chat.completions.create({
      model,
      messages: ask("A city?"),
      response_format: { type: "json_schema", json_schema: { name: "city", schema, strict: true } },
    });
    assert.equal(typeof JSON.parse(answer.choices[0].message.content).name, "string");
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model, input: ["high tide", "low tide"] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.length > 1);
  },
  async errors() {
    const expected = {
      400: OpenAI.BadRequestError,
      401: OpenAI.AuthenticationError,
      404: OpenAI.NotFoundError,
      429: OpenAI.RateLimitError,
      500: OpenAI.InternalServerError,
    };
    for (const [status, kind] of Object.entries(expected)) {
      const call = client.chat.completions.create({ model: `sandbox/error-${status}`, messages: ask("hello") });
      await assert.rejects(call, (error) => error instanceof kind && error.status === Number(status) && !!error.requestID);
    }
  },
  async refused() {
    for (const status of [400, 401, 404, 429, 500]) {
      const call = client.chat.completions.create({ model, messages: ask(`fail with ${status}`) });
      await assert.rejects(call, (error) => error.status === status && error.error.message === "scripted");
    }
  },
  async cut() {
    let seen = 0;
    await assert.rejects(async () => {
      const stream = await client.chat.completions.create({ model: "sandbox/cut-3", messages: ask("a b c d e f"), stream: true });
      for await (const _ of stream) seen += 1;
    });
    assert.ok(seen > 0, "what came before the cut was not passed on");
  },
  async models() {
    const ids = [];
    for await (const entry of client.models.list()) ids.push(entry.id);
    assert.ok(ids.includes("sandbox/echo"));
  },
};

for (const name of what.split(",")) await checks[name]();
console.log("ok");
