/** The part of the suite that is about parked records; every engine runs it through `describeMessageBus`. */
import type { OpenedBus, TestFunctions } from "./conformance.ts";
import type { ParkedRecord, ParkedStore } from "./port.ts";

/** `test` opens an empty bus for each test and closes it. */
export function describeParked(
  { describe, expect }: TestFunctions,
  name: string,
  test: (title: string, body: (opened: OpenedBus) => Promise<void>) => void,
): void {
  describe(`${name} parks`, () => {
    const record = (id: string, changes: Partial<ParkedRecord> = {}): ParkedRecord => ({
      id,
      service: "settlement",
      ns: "default",
      account: "acme",
      topic: "orders",
      reason: "unknown-account",
      detail: "there is no account acme",
      parkedAt: "2026-01-01T00:00:00.000000000Z",
      key: "default.acme",
      bytes: Uint8Array.from([0, 1, 255]),
      ...changes,
    });

    test("records, and gives them back with every field until they are erased", async ({ bus, reopen }) => {
      await bus.parked.put([record("a"), record("b", { bytes: new Uint8Array() })]);
      await bus.parked.put([]);
      const again = await reopen();
      expect(plainRecord(await again.parked.get("a"))).toEqual(plainRecord(record("a")));
      expect(plainRecord(await again.parked.get("b"))).toEqual(plainRecord(record("b", { bytes: new Uint8Array() })));
      expect(await again.parked.get("c")).toEqual(undefined);
      expect([await again.parked.erase("a"), await again.parked.erase("a"), await again.parked.count()]).toEqual([
        true,
        false,
        1,
      ]);
      expect(await again.parked.get("a")).toEqual(undefined);
    });

    test("records with their headers, and notes that a retry is asked for until they are parked anew", async ({
      bus,
      reopen,
    }) => {
      await bus.parked.put([record("a", { headers: { "ce-id": "1" } }), record("b"), record("c", { service: "wallet" })]);
      const asked = async (parked: ParkedStore, service: string) =>
        (await parked.list({ service, retryAsked: true, limit: 9 })).map(({ id }) => id);
      expect(await asked(bus.parked, "settlement")).toEqual([]);
      const at = "2026-01-02T00:00:00.000000000Z";
      expect([await bus.parked.askRetry("a", at), await bus.parked.askRetry("nobody", at)]).toEqual([true, false]);
      const { parked } = await reopen();
      expect([await asked(parked, "settlement"), await asked(parked, "wallet")]).toEqual([["a"], []]);
      const expected = record("a", { headers: { "ce-id": "1" }, retryAskedAt: at });
      expect(plainRecord(await parked.get("a"))).toEqual(plainRecord(expected));
      await parked.put([record("a")]);
      expect(await asked(parked, "settlement")).toEqual([]);
      expect(plainRecord(await parked.get("a"))).toEqual(plainRecord(record("a")));
    });

    test("the same record once, as it was parked last", async ({ bus }) => {
      await bus.parked.put([record("a")]);
      await bus.parked.put([record("a", { reason: "unknown-plan" })]);
      expect(await bus.parked.count()).toEqual(1);
      expect((await bus.parked.get("a"))?.reason).toEqual("unknown-plan");
    });

    test("and lists by what is asked for, oldest first", async ({ bus }) => {
      await bus.parked.put([
        record("late", { parkedAt: "2026-01-03T00:00:00.000000000Z" }),
        record("other-account", { account: "b" }),
        record("early-2"),
        record("early-1"),
        record("other-ns", { ns: "n2" }),
        record("other-reason", { reason: "conflict" }),
        record("other-service", { service: "wallet" }),
      ]);
      const list = async (filter: Parameters<typeof bus.parked.list>[0]) => (await bus.parked.list(filter)).map(({ id }) => id);
      expect(await list({ limit: 2 })).toEqual(["early-1", "early-2"]);
      expect((await list({ limit: 100 })).length).toEqual(7);
      expect(await list({ ns: "n2", limit: 9 })).toEqual(["other-ns"]);
      expect(await list({ account: "b", limit: 9 })).toEqual(["other-account"]);
      expect(await list({ reason: "conflict", limit: 9 })).toEqual(["other-reason"]);
      expect(await list({ service: "wallet", limit: 9 })).toEqual(["other-service"]);
      expect(await list({ ns: "default", account: "acme", reason: "unknown-account", service: "settlement", limit: 9 })).toEqual([
        "early-1",
        "early-2",
        "late",
      ]);
    });
  });
}

function plainRecord(record: ParkedRecord | undefined) {
  return record === undefined ? undefined : { ...record, bytes: [...record.bytes] };
}
