import type { ParkedRecord } from "@rerate/message-bus";
import { expect, test } from "vitest";
import { fitted } from "./parking.ts";

const RECORD: ParkedRecord = {
  id: "i",
  service: "ingest",
  ns: "default",
  account: "",
  topic: "usage.reported",
  reason: "malformed",
  detail: "no fact",
  parkedAt: "2026-01-01T00:00:00.000000000Z",
  key: "k",
  bytes: Buffer.alloc(100),
  headers: { a: "b" },
};

test("what fits is kept as it came", () => {
  expect(fitted(RECORD)).toBe(RECORD);
});

test("of what is larger than a parked record may be, the beginning stays and the detail says what was cut", () => {
  const huge = {
    ...RECORD,
    bytes: Buffer.alloc(20_000_000, 7),
    key: "k".repeat(5_000_000),
    headers: { a: "b".repeat(5_000_000) },
  };
  const { headers, ...kept } = fitted({ ...huge, detail: "d".repeat(100_000) });
  expect(headers).toBeUndefined();
  expect(kept).toMatchObject({ id: "i", reason: "malformed", topic: "usage.reported" });
  expect(JSON.stringify({ ...kept, bytes: [] }).length + kept.bytes.length).toBeLessThan(13_000_000);
  for (const part of ["20000000 bytes (SHA-256 ", "a key of 5000000 characters", "headers of 5000008 characters"])
    expect(kept.detail).toContain(part);
});
