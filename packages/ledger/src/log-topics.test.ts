import { expect, test } from "vitest";
import { ownerOfKey } from "./log-topics.ts";
import { parkedNoteOf } from "./parked-events.ts";
import { parseStreamName, partitionKey } from "./stream-name.ts";

test("a key says whose message it is", () => {
  for (const [ns, account] of [
    ["default", "acme"],
    ["shop.eu", "Zoë & Söhne"],
  ] as const) {
    expect(ownerOfKey(partitionKey(ns, account))).toEqual({ ns, account });
  }
});

test.each(["", "k", ".", "a.", ".a", "a.b.c", "\ufffd\ufffd", "default.ac me", "~.~", "~zz.a", "~ff.a", "A~41.x"])(
  "a message under the key %j, which no service made, is filed where an operator sees it",
  (key) => {
    const owner = ownerOfKey(key);
    expect(owner).toEqual({ ns: "default", account: "" });
    const record = { ...owner, id: "i", service: "settlement", topic: "t", reason: "malformed", bytes: Buffer.alloc(0) };
    expect(parseStreamName(parkedNoteOf(record).stream)).toMatchObject({ category: "parked", ns: "default", name: "settlement" });
  },
);
