/**
 * A trial with accounts on a plan, and a producer that sends good and bad usage to it and remembers what was accepted.
 *
 * Owns the plan and price list of these tests and the check that everything accepted was recorded or parked, once. One server lives
 * through a whole file of tests.
 */
import { parseAmount } from "@rerate/money";
import type { ParkedListRead } from "@rerate/wire";
import { expect } from "vitest";
import { factName, factsInside, startTrial, type Ask, type Reply, type Trial } from "./trial.ts";

export const EVENTS = "/api/v1/events";
export const BODY_LIMIT = 65_536;
export const WAIT = { prefer: "wait=10" };
/** Before everything that these tests send. */
export const SINCE = "2000-01-01T00:00:00Z";

const PLAN = `kind: plan
id: tokens
title: Tokens by model
currency: USD
items:
  - id: chat
    model: tokens
    priceList: models
    provider: acme
`;

export const priceList = (models: string): string => `kind: price-list
id: models
currency: USD
providers:
  - id: acme
    models:
${models}`;

export const KNOWN_MODEL = `      - { id: small, prices: [{ input: "1", output: "2" }] }\n`;
/** Knows a price for input only. */
export const HALF_MODEL = `      - { id: half, prices: [{ input: "1" }] }\n`;
export const NEW_MODEL = `      - { id: brand-new, prices: [{ input: "3", output: "4" }] }\n`;
export const WHOLE_MODEL = `      - { id: half, prices: [{ input: "1", output: "2" }] }\n`;

/** 1,000 tokens at 1 and 500 at 2 dollars per million. */
export const GOOD = { model: "small", input_tokens: 1000, output_tokens: 500 };
export const GOOD_PRICE = parseAmount("0.002");

export interface Usage {
  readonly id: string;
  readonly subject?: string;
  readonly time?: unknown;
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}

export function usage({ data = GOOD, subject = "acme", ...rest }: Usage): object {
  return { specversion: "1.0", type: "llm.completion", source: "api", subject, ...rest, data };
}

export interface Sender {
  readonly trial: Trial;
  /** Sends one event, and notes it when a door accepts it. */
  send(event: Usage, options?: Omit<Ask, "body">): Promise<Reply>;
  /** Notes a body as accepted, or as erased since. */
  note(body: object): void;
  forget(body: object): void;
  /** Opens an account on the plan, from ever. */
  open(account: string): Promise<void>;
  /** What an account owes, in atoms. */
  net(account: string): Promise<bigint>;
  parked(options?: { readonly account?: string; readonly reason?: string }): Promise<ParkedListRead>;
  /** Every accepted fact is recorded or parked, once; says how many. */
  expectNothingLost(): Promise<string>;
}

export async function startSender(): Promise<Sender> {
  const trial = await startTrial({ RERATE_BODY_LIMIT: String(BODY_LIMIT) });
  const accepted = new Set<string>();
  const client = trial.client();
  await client.publishDocument(priceList(KNOWN_MODEL), { effectiveFrom: SINCE });
  await client.publishDocument(PLAN, { effectiveFrom: SINCE });
  const sender: Sender = {
    trial,
    async send(event, options = {}) {
      const body = usage(event);
      const reply = await trial.ask("POST", EVENTS, { body, ...options });
      // A conflict was accepted too: it is kept, parked.
      if (reply.status < 300 || reply.status === 409) sender.note(body);
      return reply;
    },
    note: (body) => void accepted.add(JSON.stringify(body)),
    forget: (body) => void accepted.delete(JSON.stringify(body)),
    async open(account) {
      await trial.client().openAccount({ account, currency: "USD" });
      await trial.client().assignPlan(account, { planId: "tokens", from: SINCE });
    },
    async net(account) {
      await trial.settled();
      const { units } = await trial.client().balance(account);
      return units.reduce((sum, unit) => sum + parseAmount(unit.net), 0n);
    },
    async parked(options = {}) {
      await trial.settled();
      return trial.client().parked({ ...options, limit: 1000 });
    },
    async expectNothingLost() {
      await trial.settled();
      const { recorded, parked } = await factsInside(trial.standalone());
      const identities = [...accepted].map(identityOf);
      expect([...recorded, ...parked].sort()).toEqual(identities.sort());
      expect(new Set(recorded).size).toBe(recorded.length);
      const { facts } = await trial.client().totals();
      expect(facts).toBe(recorded.length);
      return `${accepted.size} distinct facts accepted = ${recorded.length} recorded + ${parked.length} parked`;
    },
  };
  for (const account of ["acme", "beta"]) await sender.open(account);
  return sender;
}

function identityOf(body: string): string {
  const { subject, source, id } = JSON.parse(body) as { readonly subject: string; readonly source: string; readonly id: string };
  return factName(subject, source, id);
}

export interface ToldProblem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly { readonly pointer?: string; readonly parameter?: string; readonly detail: string }[];
}

/** A problem document whose type is explained; every refusal is one. */
export function problemOf(reply: Reply): ToldProblem {
  expect(reply.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(reply.json).toMatchObject({
    status: reply.status,
    type: expect.stringMatching(/^\/problems#/),
    traceId: expect.any(String),
  });
  return reply.json as ToldProblem;
}

export async function expectRefused(reply: Promise<Reply>, status: number, says?: RegExp): Promise<void> {
  const answered = await reply;
  expect([answered.status, answered.text]).toEqual([status, answered.text]);
  const { detail, errors = [] } = problemOf(answered);
  const told = [detail, ...errors.map((one) => `${one.pointer ?? one.parameter ?? ""} ${one.detail}`)].join("\n");
  if (says !== undefined) expect(told).toMatch(says);
}

export interface AnswerTold {
  readonly status: string;
  readonly detail?: string;
}

/** What was decided about each fact of a request that waited for it. */
export function answersOf(reply: Reply): readonly AnswerTold[] {
  return (reply.json as { readonly answers: readonly AnswerTold[] }).answers;
}
