/**
 * What one stream publishes to another under numbers without gaps, and what the other says it received: equal one by one, or
 * not there yet. Keeps a short digest per message of one pair of streams at a time.
 */
import { hash } from "node:crypto";
import type { Problem } from "./problem.ts";

export interface Exchange {
  published(number: number, message: object): void;
  received(number: number, message: object, place: { readonly stream: string; readonly revision: number }): void;
  /** What was received and never published so, in order of number; and how many messages still wait. */
  compare(): { readonly problems: readonly Problem[]; readonly pending: number };
}

export function createExchange(what: string): Exchange {
  const sent = new Map<number, string>();
  const got = new Map<number, { readonly digest: string; readonly stream: string; readonly revision: number }>();
  return {
    published: (number, message) => void sent.set(number, digestOf(message)),
    received: (number, message, place) => void got.set(number, { digest: digestOf(message), ...place }),
    compare() {
      const problems: Problem[] = [];
      for (const [number, { digest, stream, revision }] of got) {
        const published = sent.get(number);
        if (published === digest) continue;
        const message =
          published === undefined
            ? `${what} ${number} was received but never published`
            : `${what} ${number} is not what was published`;
        problems.push({ kind: "exchange", stream, revision, message });
      }
      let pending = 0;
      for (const number of sent.keys()) if (!got.has(number)) pending += 1;
      return { problems, pending };
    },
  };
}

function digestOf(message: object): string {
  const fields = Object.entries(message).filter(([, value]) => value !== undefined);
  return hash("sha256", JSON.stringify(fields.sort(([a], [b]) => (a < b ? -1 : 1))), "base64url").slice(0, 22);
}
