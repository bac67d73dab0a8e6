/**
 * The front door for usage, corrections, costs and imports.
 *
 * Owns what is well-formed. Decides no price, keeps no state, and never refuses usage because of a balance: a fact about an
 * unknown account is accepted too and parked by settlement until the account appears.
 */
import {
  EMITTERS,
  mediaType,
  throughDoor,
  type AwaitAnswer,
  type PublishMessages,
  type Read,
  type Route,
  type RoutePlugin,
  type RouteReply,
  type RouteRequest,
  route,
} from "@rerate/http";
import { partitionKey, shardOf, type FactMessage, type ImportCommand } from "@rerate/ledger";
import {
  costSchema,
  doorAt,
  importSchema,
  partialQuery,
  receiptSchema,
  toCostFact,
  toImportCommand,
  toUsageFact,
  usageEventProblems,
  usageEventSchema,
  oneOrMany,
  type Door,
  type PartialQuery,
} from "@rerate/wire";

export interface IngestDeps {
  readonly publish: PublishMessages;
  readonly nowMs: () => number;
  /** How far ahead of the door's clock a fact may claim to be. Default one hour. */
  readonly futureLimitMs?: number;
  readonly awaitAnswer?: AwaitAnswer;
  /** Counts facts refused as malformed, by door. */
  readonly onRefused?: (door: string, count: number) => void;
}

const CLOUDEVENT_TYPES = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"];
const ACCEPTED = { 200: receiptSchema, 202: receiptSchema };
const HOW_ACCEPTED =
  "Answers 202 once the facts are durable. Sending a fact again has no further effect. A batch with a malformed fact is refused " +
  "as a whole (422, everything listed) unless `?partial=true`. With `Prefer: wait=5` the answer says what was decided about each: " +
  "recorded, duplicate, conflict (409 for a single fact), parked.";

export function routes(deps: IngestDeps): RoutePlugin {
  return { name: "ingest", routes: [eventsRoute(deps), correctionsRoute(deps), costsRoute(deps), importsRoute(deps)] };
}

function eventsRoute(deps: IngestDeps): Route {
  return route<unknown, PartialQuery>({
    method: "POST",
    path: "/api/v1/events",
    roles: EMITTERS,
    tag: "usage",
    summary: "Send usage",
    description: `CloudEvents 1.0: structured, batched, or binary (\`ce-…\` headers with the data as body). Compatible with OpenMeter's ingest. ${HOW_ACCEPTED}`,
    query: partialQuery,
    body: oneOrMany(usageEventSchema),
    checksBody: true,
    consumes: CLOUDEVENT_TYPES,
    replies: ACCEPTED,
    handle: async (request) => acceptUsage(deps, request, "events"),
  });
}

function correctionsRoute(deps: IngestDeps): Route {
  return route<unknown, PartialQuery>({
    method: "POST",
    path: "/v1/corrections",
    roles: EMITTERS,
    tag: "usage",
    summary: "Correct usage",
    description: `A usage event of its own identity with \`corrects\`, \`revision\` and the full new content; quantity 0 voids. ${HOW_ACCEPTED}`,
    query: partialQuery,
    body: oneOrMany(usageEventSchema),
    checksBody: true,
    consumes: CLOUDEVENT_TYPES,
    replies: ACCEPTED,
    handle: async (request) => acceptUsage(deps, request, "corrections"),
  });
}

function costsRoute(deps: IngestDeps): Route {
  return route<unknown, PartialQuery>({
    method: "POST",
    path: "/v1/costs",
    roles: EMITTERS,
    tag: "costs",
    summary: "Send costs of goods",
    description: `One cost or an array. ${HOW_ACCEPTED}`,
    query: partialQuery,
    body: oneOrMany(costSchema),
    checksBody: true,
    replies: ACCEPTED,
    handle: async (request) => {
      const door = doorOf(deps, request);
      return accept(deps, request, "costs", request.body, (item) => toCostFact(item, door));
    },
  });
}

function importsRoute(deps: IngestDeps): Route {
  return route({
    method: "POST",
    path: "/v1/imports",
    roles: EMITTERS,
    tag: "usage",
    summary: "Start or end an import",
    description: "While an import of an account runs, its timeouts and period ends wait for the history that is still coming.",
    body: importSchema,
    replies: { 202: receiptSchema },
    handle: async (request) => {
      const command = toImportCommand(request.body, doorOf(deps, request));
      const message = {
        key: partitionKey(command.ns, command.account),
        shard: shardOf(command.ns, command.account),
        body: command,
      };
      // Timeouts first: when settlement hears of the end, the verdicts that were held are on their way, and its periods wait for them.
      await deps.publish(SIGNAL_TOPIC, [message]);
      await deps.publish(USAGE_TOPIC, [message]);
      return { status: 202, body: { accepted: 1 } };
    },
  });
}

const USAGE_TOPIC = "usage.accepted";
const SIGNAL_TOPIC = "signal.accepted";

/** What has an identity and a content of its own. */
type Fact = Exclude<FactMessage, ImportCommand>;

type DoorCall = RouteRequest<unknown, PartialQuery, unknown>;

function doorOf(deps: IngestDeps, request: Pick<DoorCall, "caller">): Door {
  return doorAt(request.caller.ns, deps.nowMs(), deps.futureLimitMs);
}

function acceptUsage(deps: IngestDeps, request: DoorCall, name: "events" | "corrections"): Promise<RouteReply> {
  const door = doorOf(deps, request);
  const options = { correction: name === "corrections" };
  const read = (item: unknown): Read<Fact> => {
    const fact = toUsageFact(item, door, options);
    return fact === undefined ? { problems: usageEventProblems(item, door, options) } : { fact };
  };
  return accept(deps, request, name, isBinary(request) ? binaryEvent(request) : request.body, read);
}

function accept(
  deps: IngestDeps,
  request: DoorCall,
  name: string,
  body: unknown,
  read: (item: unknown) => Read<Fact>,
): Promise<RouteReply> {
  const { awaitAnswer, onRefused } = deps;
  return throughDoor({
    items: Array.isArray(body) ? body : [body],
    batch: Array.isArray(body),
    partial: request.query.partial === "true",
    read,
    publish: async (facts, awaited) => deps.publish(USAGE_TOPIC, keyed(facts, awaited)),
    waitSeconds: request.waitSeconds,
    awaitAnswer:
      awaitAnswer === undefined
        ? undefined
        : async ({ ns, account, source, id, contentHash }, ms) =>
            awaitAnswer(USAGE_TOPIC, { ns, name: account, source, id, contentHash }, ms),
    onRefused: onRefused === undefined ? undefined : (count) => onRefused(name, count),
  });
}

/** Messages under the key and shard of their account; few accounts repeat in a batch, so their hashes are taken once. */
function keyed(
  facts: readonly Fact[],
  awaited: boolean,
): { readonly key: string; readonly shard: number; readonly body: Fact; readonly awaited: boolean }[] {
  const places = new Map<string, { readonly key: string; readonly shard: number }>();
  return facts.map((body) => {
    let place = places.get(body.account);
    if (place === undefined) {
      place = { key: partitionKey(body.ns, body.account), shard: shardOf(body.ns, body.account) };
      places.set(body.account, place);
    }
    return { key: place.key, shard: place.shard, body, awaited };
  });
}

function isBinary({ headers }: DoorCall): boolean {
  return headers["ce-id"] !== undefined && !mediaType(headers["content-type"]).startsWith("application/cloudevents");
}

/** CloudEvents' binary mode: attributes in `ce-…` headers, percent-encoded where they are not plain ASCII; the body is the data. */
function binaryEvent({ headers, body }: DoorCall): unknown {
  const attributes = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith("ce-") && value !== undefined ? [[name.slice(3), decoded(value)] as const] : [],
  );
  return { ...Object.fromEntries(attributes), data: body ?? null };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
