/** Emits a usage and a signal over HTTP: `node examples/emit/http.ts http://127.0.0.1:7373` */
import { randomUUID } from "node:crypto";
import { createEmitter } from "@rerate/client";

const url = process.argv[2] ?? "http://127.0.0.1:7373";
const now = () => new Date().toISOString();
const billing = createEmitter({ url, source: "my-api", now, spread: Math.random, onTrouble: console.error });

// In a service this is the id of the request or of the model's answer: sent again, it is billed once.
const id = process.argv[3] ?? randomUUID();
billing.usage({ id, account: "demo", data: { model: "gpt-4o", input_tokens: 812, output_tokens: 204, feature: "chat" } });
billing.signal({ id: `${id}-accepted`, account: "demo", outcome: id, signal: "explicit_accept" });
console.log(await billing.close());
