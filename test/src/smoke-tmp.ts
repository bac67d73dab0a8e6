import { composeServices } from "../../services/standalone/src/compose.ts";
import { createLifecycle, createLogger, readConfig } from "@rerate/runtime";
import { sealText } from "@rerate/flow";
import { chainHash, FIRST_LINK } from "@rerate/event-store";
import { streamName, partitionKey, shardOf } from "@rerate/ledger";
import { readDocument, planSchema } from "@rerate/pricing";
import { toUsageFact, doorAt } from "@rerate/wire";
import { readFileSync, rmSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { instant, formatAmount } from "@rerate/money";
const dir = "/tmp/smoke/data";
rmSync(dir, { recursive: true, force: true });
const log = createLogger("warn");
const lifecycle = createLifecycle(log);
const s = await composeServices({ ...readConfig({ RERATE_DATA: dir }) }, log, lifecycle, (e) => {
  console.error("FAIL", e);
  process.exit(1);
});
async function put(stream: string, events: any[]) {
  const last = await s.engines.eventStore.readLast(stream);
  let prev = last ? chainHash(stream, last.revision, last.type, last.data, last.metadata) : FIRST_LINK;
  let rev = last ? last.revision : -1;
  const exp = rev;
  const out = events.map((e) => {
    const md = sealText("2026-01-01T00:00:00.000000000Z", prev);
    rev++;
    const d = JSON.stringify(e.data);
    prev = chainHash(stream, rev, e.type, d, md);
    return { type: e.type, data: d, metadata: md, body: e };
  });
  const r = await s.engines.eventStore.append([{ stream, expectedRevision: exp, events: out }]);
  if (r[0]!.kind !== "committed") throw new Error(JSON.stringify(r));
}
const doc: any = readDocument(readFileSync("examples/plans/chat-gpt-4-turbo.yaml", "utf8"), planSchema);
if (!doc.ok) throw new Error(JSON.stringify(doc));
await put(streamName("document", "default", "plan:chat-gpt-4-turbo"), [
  {
    type: "DocumentPublished",
    data: { kind: "plan", id: doc.value.id, hash: "h1", effectiveFrom: instant("2000-01-01T00:00:00Z"), document: doc.value },
  },
]);
const N = 50;
for (let i = 0; i < N; i++) {
  const a = "azure-" + i;
  await put(streamName("contract", "default", a), [
    { type: "AccountOpened", data: { account: a, timeZone: "UTC", currency: "USD", wallet: a } },
    { type: "PlanAssigned", data: { planId: doc.value.id, from: instant("2000-01-01T00:00:00Z") } },
  ]);
}
const repeat = Number(process.argv[2] ?? 1);
const rows = gunzipSync(readFileSync("examples/data/usage_azure_conversation_2023.csv.gz"))
  .toString()
  .trim()
  .split("\n")
  .slice(1);
const bodies: any[] = [];
for (let k = 0; k < repeat; k++)
  for (const row of rows) {
    const [id, ts, , , inp, , out] = row.split(",");
    bodies.push({
      specversion: "1.0",
      type: "llm.completion",
      source: "azure",
      id: k + id!,
      subject: "azure-" + Math.floor(N * Math.pow(((bodies.length * 2654435761) % 1000003) / 1000003, 2)),
      time: ts,
      data: { model: "gpt-4-turbo", input_tokens: Number(inp), output_tokens: Number(out) },
    });
  }
const door = doorAt("default", Date.now());
const t0 = performance.now();
const c0 = process.cpuUsage();
let inflight: Promise<void>[] = [];
for (let i = 0; i < bodies.length; i += 1000) {
  const ms = bodies.slice(i, i + 1000).map((b) => {
    const r: any = { fact: toUsageFact(b, door) };
    if (!r.fact) throw new Error(JSON.stringify(r));
    const f = r.fact;
    return { key: partitionKey(f.ns, f.account), shard: shardOf(f.ns, f.account), body: f };
  });
  inflight.push(s.engines.bus.publish("usage.accepted", ms));
  if (inflight.length >= 4) {
    await inflight.shift();
  }
}
await Promise.all(inflight);
const t1 = performance.now();
async function lagOf() {
  let l = 0;
  for (const g of ["settlement", "wallet", "outcome-signal"]) for (const x of await s.engines.bus.lag(g)) l += x.lag;
  return l;
}
let n = 0;
while ((await lagOf()) > 0 && n++ < 3000) await new Promise((r) => setTimeout(r, 10));
const t2 = performance.now();
await s.projector.caughtUp();
const t3 = performance.now();
const c = process.cpuUsage(c0);
console.log({
  n: bodies.length,
  publishMs: t1 - t0,
  settleMs: t2 - t0,
  totalMs: t3 - t0,
  perSec: (bodies.length / (t3 - t0)) * 1000,
  cpuUs: (c.user + c.system) / bodies.length,
  rss: process.memoryUsage().rss / 1e6,
});
console.log(s.workers.settlement.status(), await s.engines.bus.parked.count());
let sum = 0n,
  cnt = 0;
let after: any;
const types: any = {};
for (;;) {
  const p = await s.engines.eventStore.readAll({ after, maxCount: 5000 });
  for (const e of p.events) {
    types[e.type] = (types[e.type] ?? 0) + 1;
    if (e.type === "UsageRecorded") {
      for (const en of JSON.parse(e.data).entries) {
        sum += BigInt(en.atoms);
        cnt++;
      }
    }
  }
  after = p.next;
  if (p.end) break;
}
console.log(formatAmount(sum), cnt, types);
await lifecycle.stop();
