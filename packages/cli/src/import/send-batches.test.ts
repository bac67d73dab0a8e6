import { RefusedError, UnreachableError } from "@rerate/client";
import type { ReceiptRead } from "@rerate/wire";
import { describe, expect, test } from "vitest";
import { createImportHold, sendInBatches } from "./send-batches.ts";

async function* bodies(count: number): AsyncGenerator<{ readonly id: number }> {
  for (let id = 0; id < count; id++) yield { id };
}

const accountOf = ({ id }: { readonly id: number }): string => `a${id % 2}`;
const sleep = async (): Promise<void> => undefined;
const accept = (batch: readonly unknown[]): ReceiptRead => ({ accepted: batch.length });

describe("sending in batches", () => {
  test("sends everything once, a few requests at a time, and announces each account before its first fact", async () => {
    const seen: number[] = [];
    const announced: string[] = [];
    let underWay = 0;
    let most = 0;
    const counts = await sendInBatches(bodies(2_500), {
      size: 1_000,
      inFlight: 2,
      accountOf,
      sleep,
      beforeAccount: async (account) => void announced.push(account),
      send: async (batch) => {
        expect(announced).toEqual(["a0", "a1"]);
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        seen.push(...batch.map(({ id }) => id));
        return accept(batch);
      },
    });
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2_500 }, (_, id) => id));
    expect(most).toBe(2);
    expect(counts).toMatchObject({ sent: 2_500, accepted: 2_500, unanswered: 2_500 });
  });

  test("counts what the owner answered", async () => {
    const statuses = ["recorded", "duplicate", "parked", "conflict", "pending"] as const;
    const counts = await sendInBatches(bodies(5), {
      accountOf,
      sleep,
      send: async (batch) => ({
        accepted: 5,
        answers: batch.map(({ id }) => ({ source: "s", id: String(id), status: statuses[id] ?? "recorded", detail: "why" })),
      }),
    });
    expect(counts).toEqual({
      sent: 5,
      accepted: 5,
      recorded: 1,
      duplicates: 1,
      parked: 2,
      unanswered: 1,
      reasons: ["2: why", "3: why"],
    });
  });

  test("sends a batch without an answer again, and gives up on a refusal at once", async () => {
    let tries = 0;
    const counts = await sendInBatches(bodies(3), {
      accountOf,
      sleep,
      send: async (batch) => {
        tries += 1;
        if (tries < 3) throw new UnreachableError("http://nobody", undefined);
        return accept(batch);
      },
    });
    expect([tries, counts.sent]).toEqual([3, 3]);
    let refused = 0;
    const refusing = sendInBatches(bodies(3), {
      accountOf,
      sleep,
      send: async () => {
        refused += 1;
        throw new RefusedError(422, { title: "Unprocessable" });
      },
    });
    await expect(refusing).rejects.toThrow(/422/);
    expect(refused).toBe(1);
  });

  test("an import is announced once per account and ended for each", async () => {
    const sent: string[] = [];
    const hold = createImportHold(
      async ({ account, phase, id }) => {
        sent.push(`${account} ${phase} ${id}`);
        return { accepted: 1 };
      },
      { source: "import", id: "file.csv" },
    );
    await Promise.all([hold.start("a"), hold.start("b"), hold.start("a")]);
    await hold.end();
    expect(sent).toEqual(["a started file.csv", "b started file.csv", "a ended file.csv", "b ended file.csv"]);
  });
});
