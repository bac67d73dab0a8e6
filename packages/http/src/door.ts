/**
 * What every front door does with facts: read them all, publish what is good, answer "accepted" or wait for the owner.
 *
 * A door never decides anything: it refuses only what is malformed. Unless the caller asks for `partial`, one malformed fact
 * refuses the whole request, so that a sender never has to find out which half was taken.
 */
import type { AnswerRead, Identity, InputProblem } from "@rerate/wire";
import { HttpProblem, invalid, type ProblemError } from "./problem.ts";
import type { RouteReply } from "./route.ts";

/** A fact or command on its way to the topic it is published to. `source` is empty for commands. */
export interface DoorFact {
  readonly ns: string;
  readonly source?: string;
  readonly id: string;
}

/** What the owner of the stream decided. */
export interface DoorAnswer {
  readonly status: "recorded" | "duplicate" | "conflict" | "parked" | "ignored";
  readonly detail?: string | undefined;
  readonly revision?: number | undefined;
}

/** A message with the content it has: two contents of one identity get two answers. `name` is the account or the wallet. */
export interface AwaitedMessage extends Identity {
  readonly ns: string;
  readonly name: string;
  readonly contentHash: string;
}

/**
 * Waits for the owner's answer about a message, at most so long; undefined when none came. Called before the message is
 * published, so that no answer can be missed. Never rejects.
 */
export type AwaitAnswer = (topic: string, message: AwaitedMessage, milliseconds: number) => Promise<DoorAnswer | undefined>;

/** Publishes a door's messages. Resolves when every one is durable on the topic. */
export type PublishMessages = (
  topic: string,
  messages: readonly { readonly key: string; readonly shard: number; readonly body: unknown; readonly awaited?: boolean }[],
) => Promise<void>;

export type Read<Fact> = { readonly fact: Fact } | { readonly problems: readonly InputProblem[] };

export interface DoorRequest<Fact extends DoorFact> {
  /** The facts as sent. */
  readonly items: readonly unknown[];
  /** True when they came as an array: then pointers begin with the index. */
  readonly batch: boolean;
  /** Accept the good ones even when others are malformed. */
  readonly partial: boolean;
  readonly read: (item: unknown) => Read<Fact>;
  /** Resolves when all are durable. `awaited`: the request waits for what is decided about them. */
  readonly publish: (facts: readonly Fact[], awaited: boolean) => Promise<void>;
  readonly waitSeconds: number;
  readonly awaitAnswer: ((fact: Fact, milliseconds: number) => Promise<DoorAnswer | undefined>) | undefined;
  /** Counts malformed facts. */
  readonly onRefused: ((count: number) => void) | undefined;
}

/** More facts in one request are refused: send several requests. */
export const MAX_BATCH = 10_000;
/** Answers are awaited for at most so many facts of one request. */
export const MAX_AWAITED = 1_000;
const MAX_LISTED_PROBLEMS = 1_000;

/** Runs a request through the door. */
export async function throughDoor<Fact extends DoorFact>(request: DoorRequest<Fact>): Promise<RouteReply> {
  if (request.items.length > MAX_BATCH) throw new HttpProblem("too-large", `at most ${MAX_BATCH} facts in one request`);
  const { facts, refused } = readAll(request);
  if (refused.count > 0) request.onRefused?.(refused.count);
  if (refused.count > 0 && !(request.partial && request.batch))
    throw invalid(refused.problems, { refused: refused.count, accepted: 0 });
  const waits = request.waitSeconds > 0 && facts.length > 0 && facts.length <= MAX_AWAITED;
  const answers = waits ? facts.map(async (fact) => request.awaitAnswer?.(fact, request.waitSeconds * 1000)) : undefined;
  await request.publish(facts, answers !== undefined);
  const left = refused.count === 0 ? {} : { refused: refused.problems };
  if (answers === undefined) return { status: 202, body: { accepted: facts.length, ...left } };
  const given = (await Promise.all(answers)).map((answer, index) => answerRead(facts[index], answer));
  return withAnswers(request.batch, given, left);
}

interface Refused {
  readonly count: number;
  readonly problems: readonly (InputProblem & ProblemError)[];
}

function readAll<Fact extends DoorFact>({ items, batch, read }: DoorRequest<Fact>): { facts: Fact[]; refused: Refused } {
  const facts: Fact[] = [];
  const problems: (InputProblem & ProblemError)[] = [];
  let count = 0;
  for (let index = 0; index < items.length; index += 1) {
    const result = read(items[index]);
    if ("fact" in result) facts.push(result.fact);
    else {
      count += 1;
      if (problems.length >= MAX_LISTED_PROBLEMS) continue;
      for (const { pointer, detail } of result.problems)
        problems.push({ pointer: batch ? `/${index}${pointer}` : pointer, detail });
    }
  }
  return { facts, refused: { count, problems: problems.slice(0, MAX_LISTED_PROBLEMS) } };
}

function answerRead(fact: DoorFact | undefined, answer: DoorAnswer | undefined): AnswerRead {
  const identity = { source: fact?.source ?? "", id: fact?.id ?? "" };
  if (answer === undefined) return { ...identity, status: "pending" };
  const { status, detail, revision } = answer;
  return { ...identity, status, ...(detail === undefined ? {} : { detail }), ...(revision === undefined ? {} : { revision }) };
}

/** One fact that conflicts is a 409; in a batch every answer stands in the list. */
function withAnswers(batch: boolean, answers: readonly AnswerRead[], left: object): RouteReply {
  const [only] = answers;
  if (!batch && only?.status === "conflict") {
    throw new HttpProblem("conflict", only.detail ?? "the identity was recorded with other content", [], { answers });
  }
  const settled = answers.every(({ status }) => status !== "pending" && status !== "parked");
  return {
    status: settled ? 200 : 202,
    headers: { "preference-applied": "wait" },
    body: { accepted: answers.length, answers, ...left },
  };
}
