import type { ParkedRecord } from "@rerate/message-bus";
import { topicCodec } from "@rerate/wire";
import { expect, test } from "vitest";
import { decodeParked } from "./operate-routes.ts";

const record = (topic: string, bytes: Uint8Array, headers?: ParkedRecord["headers"]): ParkedRecord => ({
  id: "i",
  service: "ingest",
  ns: "default",
  account: "",
  topic,
  reason: "malformed",
  detail: "d",
  parkedAt: "2026-01-01T00:00:00.000000000Z",
  key: "k",
  bytes,
  ...(headers === undefined ? {} : { headers }),
});

test("a parked message shows what it says: our Avro, a producer's JSON with its headers, and nothing for other bytes", () => {
  const event = { specversion: "1.0", id: "e-1", subject: "acme" };
  const json = Buffer.from(JSON.stringify(event));
  expect(decodeParked(record("usage.reported", json))).toEqual(event);
  expect(decodeParked(record("signal.reported", json, { ce_id: "e-1" }))).toEqual({ headers: { ce_id: "e-1" }, content: event });
  const hint = { ns: "default", account: "acme", sourceRevision: 3 };
  expect(decodeParked(record("contract.changed", topicCodec("contract.changed").encode(hint)))).toEqual(hint);
  const reported = { kind: "usage", source: "api", id: "e-1", account: "acme", type: "t", quantities: {}, dimensions: {} };
  const avro = topicCodec("usage.reported").encode(reported);
  expect(decodeParked(record("usage.reported", avro, { "x-trace": "1" }))).toMatchObject({ id: "e-1", account: "acme" });
  for (const bytes of [Buffer.from("{"), Buffer.from([0xff, 0xfe]), Buffer.alloc(0), avro.subarray(0, 14)])
    expect(decodeParked(record("usage.reported", bytes))).toBeUndefined();
  expect(decodeParked(record("nowhere", json))).toBeUndefined();
});
