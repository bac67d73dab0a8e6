/**
 * Routes for operators: what is parked, and how the services stand.
 */
import { HttpProblem, notFound, ok, OPERATORS, READERS, route, type RoutePlugin } from "@rerate/http";
import type { MessageBus, ParkedRecord } from "@rerate/message-bus";
import {
  parkedListSchema,
  parkedParams,
  parkedQuery,
  parkedRetrySchema,
  parkedSchema,
  reconciliationSchema,
  statusSchema,
  topicCodec,
  topicNames,
  type ParkedListRead,
  type ParkedRead,
  type ParkedRetryRead,
  type ParkedSummaryRead,
  type ReconciliationRead,
  type StatusRead,
} from "@rerate/wire";

export interface OperateDeps {
  readonly bus: MessageBus;
  /** Feeds one parked message through its service again; true when it is gone from the parked ones. */
  readonly retry: (record: ParkedRecord) => Promise<boolean>;
  /** The message in parked bytes, where they decode. */
  readonly decode: (record: ParkedRecord) => unknown;
  readonly status: (ns: string) => Promise<StatusRead>;
  /** Compares topics, log and parked messages. Absent where topics keep no messages that have been handled. */
  readonly reconcile?: (ns: string) => Promise<ReconciliationRead>;
}

export function operateRoutes(deps: OperateDeps): RoutePlugin {
  const { bus, retry, decode, status } = deps;

  /** A record of another namespace is answered like an unknown one. */
  async function recordOf(ns: string, id: string): Promise<ParkedRecord> {
    const record = await bus.parked.get(id);
    if (record === undefined || record.ns !== ns) throw notFound(`there is no parked message ${id}`);
    return record;
  }

  const list = route({
    method: "GET",
    path: "/v1/parked",
    roles: READERS,
    tag: "operate",
    summary: "List parked messages",
    query: parkedQuery,
    replies: { 200: parkedListSchema },
    handle: async ({ query, caller }) => {
      const { limit, account, reason, service } = query;
      const filter = {
        ns: caller.ns,
        limit,
        ...(account === undefined ? {} : { account }),
        ...(reason === undefined ? {} : { reason }),
        ...(service === undefined ? {} : { service }),
      };
      const records = await bus.parked.list(filter);
      const all = await bus.parked.list({ ns: caller.ns, limit: COUNTED });
      const body: ParkedListRead = { parked: records.map(summary), count: all.length };
      return ok(body);
    },
  });
  const show = route({
    method: "GET",
    path: "/v1/parked/:id",
    roles: OPERATORS,
    tag: "operate",
    summary: "Show a parked message with its bytes",
    params: parkedParams,
    replies: { 200: parkedSchema },
    handle: async ({ params, caller }) => {
      const record = await recordOf(caller.ns, params.id);
      const decoded = decode(record);
      const body: ParkedRead = {
        ...summary(record),
        bytesBase64: Buffer.from(record.bytes).toString("base64"),
        ...(decoded === undefined ? {} : { body: decoded }),
      };
      return ok(body);
    },
  });
  const again = route({
    method: "POST",
    path: "/v1/parked/:id/retry",
    roles: OPERATORS,
    tag: "operate",
    summary: "Try a parked message again",
    description: "Goes the same way as when it came. What is recorded now, or known as a duplicate, is no longer parked.",
    params: parkedParams,
    replies: { 200: parkedRetrySchema },
    handle: async ({ params, caller }) => {
      const mended = await retry(await recordOf(caller.ns, params.id));
      const body: ParkedRetryRead = { id: params.id, status: mended ? "recorded" : "parked" };
      return ok(body);
    },
  });
  const erase = route({
    method: "DELETE",
    path: "/v1/parked/:id",
    roles: OPERATORS,
    tag: "operate",
    summary: "Erase a parked message for good",
    params: parkedParams,
    replies: { 200: parkedRetrySchema },
    handle: async ({ params, caller }) => {
      await recordOf(caller.ns, params.id);
      await bus.parked.erase(params.id);
      const body: ParkedRetryRead = { id: params.id, status: "erased" };
      return ok(body);
    },
  });
  const stand = route({
    method: "GET",
    path: "/v1/status",
    roles: READERS,
    tag: "operate",
    summary: "How the services stand",
    replies: { 200: statusSchema },
    handle: async ({ caller }) => ok(await status(caller.ns)),
  });
  const counts = route({
    method: "GET",
    path: "/v1/reconciliation",
    roles: OPERATORS,
    tag: "operate",
    summary: "Whether every accepted message is recorded or parked",
    description: "Reads the topics, the log and the parked messages from beginning to end: takes its time on a large ledger.",
    replies: { 200: reconciliationSchema },
    handle: async ({ caller }) => {
      if (deps.reconcile === undefined) throw new HttpProblem("not-found", NO_RECONCILIATION);
      return ok(await deps.reconcile(caller.ns));
    },
  });
  return { name: "operate", routes: [list, show, again, erase, stand, counts] };
}

const NO_RECONCILIATION =
  "topics of this engine keep no message that has been handled, so there is nothing to compare the log with; `rerate verify` audits the log";

/** The message in parked bytes; undefined where they do not decode. */
export function decodeParked({ topic: name, bytes, headers }: ParkedRecord): unknown {
  const topic = topicNames().find((one) => one === name);
  if (topic === undefined) return undefined;
  try {
    return topicCodec(topic).decode(bytes);
  } catch {
    // What producers send is no Avro of ours, as a rule: JSON with headers beside it. Other bytes are shown as they are.
    const content = jsonOf(bytes);
    if (content === undefined) return undefined;
    return headers === undefined ? content : { headers, content };
  }
}

/** What a JSON text holds; undefined for other bytes, and for more than anybody would read. */
function jsonOf(bytes: Uint8Array): unknown {
  if (bytes.length > MOST_SHOWN) return undefined;
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    return undefined;
  }
}

const MOST_SHOWN = 1_000_000;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** More than this are counted as this many. */
const COUNTED = 100_000;

function summary(record: ParkedRecord): ParkedSummaryRead {
  const { id, service, account, topic, reason, detail, parkedAt } = record;
  return { id, service, account, topic, reason, detail, parkedAt };
}
