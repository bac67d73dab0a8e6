/**
 * Reads what producers put on the intake topics: the facts, or why there are none.
 *
 * Whatever came, the same content gives the same content hash as over HTTP, so that a fact sent both ways is a duplicate.
 * Never throws, whatever the bytes. A message is taken as a whole or not at all.
 */
import { instant, plus, type Instant } from "@rerate/money";
import type { CostAccepted, SignalAccepted, UsageAccepted } from "../generated/topics.ts";
import { toCostFact } from "../http/cost.ts";
import { FUTURE_LIMIT_MS, type Door, type InputProblem } from "../http/door.ts";
import { isText, TEXT_RULE } from "../http/fields.ts";
import { toSignal } from "../http/signal.ts";
import { extensionProblem, isRecord, MAX_KEYS, usageEventProblems } from "../http/usage-event.ts";
import { toUsageFact } from "../http/usage-fact.ts";
import { eventsOf, isCloudEvent, type NoEvents } from "./reported-event.ts";
import type { Reported, ReportedTopic } from "./reported.ts";

/** One reading of the intake's surroundings. */
export interface IntakeDoor {
  /** Fills in the times that events do not say. */
  readonly now: Instant;
  /** Facts that claim to be later are refused. */
  readonly latest: Instant;
  /** The namespaces that this intake takes facts for. All when absent. */
  readonly namespaces?: ReadonlySet<string> | undefined;
}

/** `firstSeenAt` is when the message came, `now` when it is read: they differ where a parked message is read again. */
export function intakeDoorAt(
  firstSeenAt: string,
  now: string,
  { namespaces, futureLimitMs = FUTURE_LIMIT_MS }: IntakeLimits = {},
): IntakeDoor {
  return { now: instant(firstSeenAt), latest: plus(instant(now), BigInt(futureLimitMs) * 1_000_000n), namespaces };
}

export interface IntakeLimits {
  /** The namespaces that producers may name; all when absent. */
  readonly namespaces?: ReadonlySet<string> | undefined;
  /** How far ahead of the intake's clock a fact may claim to be. Default one hour. */
  readonly futureLimitMs?: number | undefined;
}

export interface ReportedFacts {
  readonly "usage.reported": UsageAccepted | CostAccepted;
  readonly "signal.reported": SignalAccepted;
}

/** A message that is not taken, filed under what could be read of namespace and account; one for others under the intake's own. */
export interface NotTaken {
  readonly reason: NoEvents["reason"] | "foreign-namespace";
  readonly detail: string;
  readonly ns: string;
  /** Empty where it could not be read. */
  readonly account: string;
}

export type ReportedRead<Topic extends ReportedTopic> = { readonly facts: readonly ReportedFacts[Topic][] } | NotTaken;

/** The CloudEvents types that say what an event is; usage has types of its own, and a signal may too. */
export const COST_TYPE = "rerate.cost";
export const SIGNAL_TYPE = "rerate.signal";

/** The header that names a message's namespace; in the event it is the attribute `reratens` or `ns`. */
export const NAMESPACE_HEADER = "rerate-ns";
export const DEFAULT_NAMESPACE = "default";

export function readReported<Topic extends ReportedTopic>(
  topic: Topic,
  reported: Reported,
  intake: IntakeDoor,
): ReportedRead<Topic> {
  const found = eventsOf(topic, reported);
  if ("reason" in found) return filed(found, [], intake);
  const facts: ReportedFacts[Topic][] = [];
  const problems: InputProblem[] = [];
  const namespaces = new Set<string>();
  for (const [index, event] of found.events.entries()) {
    const at = found.batch ? `/${index}` : "";
    const given = namespaceOf(reported.headers, event);
    if ("problem" in given) problems.push({ pointer: at, detail: given.problem });
    else {
      namespaces.add(given.ns);
      const read = readEvent(topic, event, { ns: given.ns, now: intake.now, latest: intake.latest });
      if ("fact" in read) facts.push(read.fact);
      else problems.push(...read.problems.map(({ pointer, detail }) => ({ pointer: at + pointer, detail })));
    }
    if (problems.length > MAX_LISTED) break;
  }
  const foreign = [...namespaces].find((ns) => intake.namespaces?.has(ns) === false);
  if (foreign !== undefined)
    return filed({ reason: "foreign-namespace", detail: `this intake takes no facts for ${foreign}` }, [], intake);
  if (problems.length > 0) return filed({ reason: "malformed", detail: listed(problems) }, found.events, intake, [...namespaces]);
  return { facts };
}

type Read<Fact> = { readonly fact: Fact } | { readonly problems: readonly InputProblem[] };

function readEvent<Topic extends ReportedTopic>(topic: Topic, event: unknown, door: Door): Read<ReportedFacts[Topic]> {
  const read = topic === "usage.reported" ? readUsageOrCost(event, door) : readSignal(event, door);
  return read as Read<ReportedFacts[Topic]>;
}

function readUsageOrCost(event: unknown, door: Door): Read<UsageAccepted | CostAccepted> {
  if (!isCloudEvent(event) && isRecord(event) && "amount" in event) return toCostFact(withoutNamespace(event), door);
  if (isRecord(event) && event["type"] === COST_TYPE) return fromData(event, (body) => toCostFact(body, door));
  if (isRecord(event) && event["type"] === SIGNAL_TYPE) return wrongTopic("signal.reported");
  const fact = toUsageFact(event, door);
  return fact === undefined ? { problems: usageEventProblems(event, door) } : { fact };
}

function readSignal(event: unknown, door: Door): Read<SignalAccepted> {
  if (!isCloudEvent(event)) return toSignal(isRecord(event) ? withoutNamespace(event) : event, door);
  if (event["type"] === COST_TYPE) return wrongTopic("usage.reported");
  return fromData(event, (body) => toSignal(body, door));
}

function wrongTopic(right: ReportedTopic): { readonly problems: readonly InputProblem[] } {
  return { problems: [{ pointer: "/type", detail: `such an event belongs on ${right}` }] };
}

/** A CloudEvent whose attributes are the identity and whose data are the other fields of an HTTP body. */
function fromData<Fact>(event: Readonly<Record<string, unknown>>, read: (body: object) => Read<Fact>): Read<Fact> {
  const { source, id, subject, time } = event;
  const data = event["data"] ?? {};
  const problems = attributeProblems(event);
  if (!isRecord(data)) return { problems: [...problems, { pointer: "/data", detail: "must be an object" }] };
  for (const name of ["source", "id", "account", "time"]) {
    if (Object.hasOwn(data, name)) problems.push({ pointer: `/data/${name}`, detail: "stands among the event's attributes" });
  }
  const result = read({ ...data, source, id, account: subject, ...(time === undefined || time === null ? {} : { time }) });
  if ("fact" in result) return problems.length === 0 ? result : { problems };
  return { problems: [...problems, ...result.problems.map(({ pointer, detail }) => ({ pointer: inEvent(pointer), detail }))] };
}

const ATTRIBUTES = new Set(["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"]);

function attributeProblems(event: Readonly<Record<string, unknown>>): InputProblem[] {
  const problems: InputProblem[] = [];
  const keys = Object.keys(event);
  if (event["specversion"] !== "1.0") problems.push({ pointer: "/specversion", detail: 'must be "1.0"' });
  if (!isText(event["type"])) problems.push({ pointer: "/type", detail: `must be ${TEXT_RULE}` });
  if (keys.length > MAX_KEYS) problems.push({ pointer: "", detail: `has more than ${MAX_KEYS} attributes` });
  for (const key of keys.slice(0, MAX_KEYS)) {
    const detail = ATTRIBUTES.has(key) ? undefined : extensionProblem(key, event[key]);
    if (detail !== undefined) problems.push({ pointer: `/${key}`, detail });
  }
  return problems;
}

/** Where a field of the HTTP body stands in the event. */
function inEvent(pointer: string): string {
  if (pointer.startsWith("/account")) return pointer.replace("/account", "/subject");
  return /^\/(?:source|id|time)\b/.test(pointer) ? pointer : `/data${pointer}`;
}

function namespaceOf(headers: Reported["headers"], event: unknown): { readonly ns: string } | { readonly problem: string } {
  const { reratens, ns } = isRecord(event) ? event : {};
  const given = [headers[NAMESPACE_HEADER], reratens, ns].filter((one) => one !== undefined && one !== null);
  const [first = DEFAULT_NAMESPACE, ...others] = given;
  if (!isText(first)) return { problem: `its namespace must be ${TEXT_RULE}` };
  return others.every((other) => other === first) ? { ns: first } : { problem: "names several namespaces" };
}

function withoutNamespace(body: Readonly<Record<string, unknown>>): object {
  const { ns: _ns, reratens: _reratens, ...fields } = body;
  return fields;
}

const MAX_LISTED = 20;
const MAX_DETAIL = 2_000;

function listed(problems: readonly InputProblem[]): string {
  const lines = problems.slice(0, MAX_LISTED).map(({ pointer, detail }) => `${pointer} ${detail}`.trim());
  return [...lines, ...(problems.length > MAX_LISTED ? ["and more"] : [])].join("; ").slice(0, MAX_DETAIL).toWellFormed();
}

function filed(
  { reason, detail }: Pick<NotTaken, "reason" | "detail">,
  events: readonly unknown[],
  { namespaces }: IntakeDoor,
  named: readonly string[] = [],
): NotTaken {
  const [only] = named.length === 1 ? named : [];
  return { reason, detail, ns: only ?? ownNamespace(namespaces), account: accountOf(events) };
}

/** The namespace of what names none that can be read: the default, or the first that the intake takes facts for. */
export function ownNamespace(namespaces: IntakeLimits["namespaces"]): string {
  const [first = DEFAULT_NAMESPACE] = namespaces ?? [];
  return namespaces?.has(DEFAULT_NAMESPACE) === false ? first : DEFAULT_NAMESPACE;
}

/** The account that all events of a message name; empty where there is none such. */
function accountOf(events: readonly unknown[]): string {
  const accounts = new Set(events.map((event) => (isRecord(event) ? (event["subject"] ?? event["account"]) : undefined)));
  const [account] = accounts;
  return accounts.size === 1 && isText(account) ? account : "";
}
