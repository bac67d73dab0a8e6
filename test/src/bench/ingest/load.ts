/**
 * The load: usage events as request bodies, and what the ledger must say about them in the end.
 *
 * Seeded: the same seed gives the same accounts and tokens. The expectation is computed here with one multiplication per
 * event and nothing of the product, so it is a second opinion.
 */

/** The plan of `examples/plans/chat-gpt-4-turbo.yaml`: 10 and 30 USD per million tokens, in atoms (10⁻⁹ USD) per token. */
export const PLAN = {
  file: "examples/plans/chat-gpt-4-turbo.yaml",
  id: "chat-gpt-4-turbo",
  inputAtoms: 10_000n,
  outputAtoms: 30_000n,
};

export const HOT_ACCOUNT = "hot";

export interface Load {
  /** Accounts that must be open, the hot one included. */
  readonly accounts: readonly string[];
  /** Makes so many events, `batch` to a body, and counts them as expected. */
  make(shape: Shape, events: number, batch: number): readonly string[];
  /** Makes so many events, each a CloudEvent of its own. */
  events(shape: Shape, count: number): readonly LoadEvent[];
  /** What an account owes by now, in atoms. */
  expected(account: string): bigint;
  readonly facts: number;
  readonly totalAtoms: bigint;
  /** Accounts of the newest events: once they are right, everything before them has been read. */
  readonly newest: readonly string[];
}

export interface LoadEvent {
  readonly account: string;
  /** When it occurred, as a canonical instant; of this load's events no other has the same. */
  readonly time: string;
  readonly text: string;
}

export type Shape = "many" | "hot";

export function createLoad(seed: number, accountCount: number, ids: "random" | "ordered"): Load {
  const random = mulberry32(seed);
  const many = Array.from({ length: accountCount }, (_, index) => `acct-${index}`);
  const pick = zipf(accountCount, 1.1, random);
  const owed = new Map<string, bigint>();
  let newest: string[] = [];
  let facts = 0;
  let totalAtoms = 0n;

  function makeEvent(shape: Shape): LoadEvent {
    const account = shape === "hot" ? HOT_ACCOUNT : (many[pick()] ?? "");
    const input = 1 + Math.floor(random() * 4_000);
    const output = 1 + Math.floor(random() * 1_000);
    const atoms = BigInt(input) * PLAN.inputAtoms + BigInt(output) * PLAN.outputAtoms;
    owed.set(account, (owed.get(account) ?? 0n) + atoms);
    totalAtoms += atoms;
    facts += 1;
    const id = ids === "ordered" ? `req-${String(facts).padStart(12, "0")}` : randomId(random);
    const time = `${new Date().toISOString().slice(0, -1)}${String(facts % 1_000_000).padStart(6, "0")}Z`;
    const text = `{"specversion":"1.0","type":"llm.completion","source":"bench","id":"${id}","subject":"${account}","time":"${time}","data":{"model":"gpt-4-turbo","provider":"openai","input_tokens":${input},"output_tokens":${output}}}`;
    return { account, time, text };
  }

  function makeEvents(shape: Shape, count: number): readonly LoadEvent[] {
    const events = Array.from({ length: count }, () => makeEvent(shape));
    newest = [...new Set(events.slice(-200).map(({ account }) => account))];
    return events;
  }

  return {
    accounts: [...many, HOT_ACCOUNT],
    make(shape, count, batch) {
      const texts = makeEvents(shape, count).map(({ text }) => text);
      if (batch === 1) return texts;
      const bodies: string[] = [];
      for (let from = 0; from < texts.length; from += batch) bodies.push(`[${texts.slice(from, from + batch).join(",")}]`);
      return bodies;
    },
    events: makeEvents,
    expected: (account) => owed.get(account) ?? 0n,
    get facts() {
      return facts;
    },
    get totalAtoms() {
      return totalAtoms;
    },
    get newest() {
      return newest;
    },
  };
}

/** Index of an account: the n-th is asked for in proportion to n to the power of −exponent. */
function zipf(count: number, exponent: number, random: () => number): () => number {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let index = 0; index < count; index++) cumulative[index] = sum += (index + 1) ** -exponent;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Shaped like a random UUID: the hardest kind of id for an index. */
function randomId(random: () => number): string {
  let hex = "";
  for (let part = 0; part < 4; part++)
    hex += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
