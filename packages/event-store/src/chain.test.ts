import { createHash } from "node:crypto";
import { v5 } from "uuid";
import { describe, expect, it } from "vitest";
import { FIRST_LINK, chainHash, eventId } from "./chain.ts";

describe("the hash chain", () => {
  it("starts with 32 zero bytes", () => {
    expect(Buffer.from(FIRST_LINK, "base64url")).toEqual(Buffer.alloc(32));
    expect(Buffer.alloc(32).toString("base64url")).toBe(FIRST_LINK);
  });

  it("is the SHA-256 of five lines, so that anybody can compute it", () => {
    const text = 'account-3f.default.acme\n7\nUsageRecorded\n{"a":"ü"}\n{"link":"x"}';
    const expected = createHash("sha256").update(text, "utf8").digest("base64url");
    expect(chainHash("account-3f.default.acme", 7, "UsageRecorded", '{"a":"ü"}', '{"link":"x"}')).toBe(expected);
  });

  it("changes with every part of the event", () => {
    const hashes = [
      chainHash("s", 1, "T", "{}", "{}"),
      chainHash("t", 1, "T", "{}", "{}"),
      chainHash("s", 2, "T", "{}", "{}"),
      chainHash("s", 1, "U", "{}", "{}"),
      chainHash("s", 1, "T", "[]", "{}"),
      chainHash("s", 1, "T", "{}", "[]"),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe("an event id", () => {
  it("is the same for an identical re-send and for nothing else", () => {
    const hash = chainHash("s", 1, "T", "{}", "{}");
    expect(eventId("s", 1, hash)).toBe(eventId("s", 1, hash));
    expect(eventId("s", 1, hash)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set([eventId("s", 1, hash), eventId("t", 1, hash), eventId("s", 2, hash), eventId("s", 1, FIRST_LINK)]).size).toBe(
      4,
    );
  });

  it("is a UUID of version 5, as anybody computes them", () => {
    for (let revision = 0; revision < 64; revision++) {
      const hash = chainHash("ø", revision, "T", "{}", "{}");
      expect(eventId("ø", revision, hash)).toBe(v5(`ø\n${revision}\n${hash}`, "5f3a8f8e-5e0c-4f0a-9c55-6d1d2a7b9e10"));
    }
  });

  it("never changes: stored events depend on it", () => {
    expect(eventId("account-3f.default.acme", 7, FIRST_LINK)).toMatchInlineSnapshot(`"58471b7a-49eb-5d36-a621-2cd0547fc702"`);
  });
});
