// An aimock whose every answer is signed anew: says its address, then serves until it is killed.
import { LLMock } from "@copilotkit/aimock";

const words = Number(process.argv[2]);
let answers = 0;

const mock = new LLMock({ port: 0, logLevel: "warn", chunkSize: 8, latency: 5 });
mock.onMessage(/./, () => ({ content: `aimock-${answers++} `.repeat(words) }));
await mock.start();
console.log(mock.url);
