/**
 * The counts that must agree: every distinct message that a door accepted is in the log, parked, or still waits in Kafka.
 *
 * Reads the accepted topics to the ends they have at the start, then the groups' offsets, then the log and the parked records to
 * their ends: what was handled before the offsets were read must show in what is read after. Exact; holds 16 bytes for each
 * distinct message. Decides and changes nothing.
 */
import type { EventStore } from "@rerate/event-store";
import { parkedId } from "@rerate/flow";
import { deliveryIdentity, ownerOfKey, parseStreamName, recordedDeliveries } from "@rerate/ledger";
import type { ReceivedMessage } from "@rerate/message-bus";
import type { StreamEngines } from "@rerate/runtime";
import type { ReconciliationRead } from "@rerate/wire";
import { hash } from "node:crypto";

/** The accepted topics, each with the group of its owner. */
const ACCEPTED = [
  { topic: "usage.accepted", group: "settlement" },
  { topic: "signal.accepted", group: "outcome-signal" },
  { topic: "wallet.requested", group: "wallet" },
] as const;

type AcceptedTopic = (typeof ACCEPTED)[number]["topic"];
type Counts = { -readonly [Name in keyof ReconciliationRead["topics"][number]]: ReconciliationRead["topics"][number][Name] };
type Problem = ReconciliationRead["problems"][number];

/** One topic's messages by the short form of the id under which they would be parked. */
interface Account {
  readonly counts: Counts;
  /** Accepted and not found in the log so far. */
  readonly open: Set<string>;
  readonly recorded: Set<string>;
  /** Noted as parked, of those that are open. */
  readonly noted: Set<string>;
}

const PREFIXES = ["account-", "outcome-", "wallet-", "parked-"];
const PAGE = 2_000;
const MOST_NAMED = 20;

/** The reconciliation of one namespace. Takes as long as reading the topics and the log takes. */
export async function reconcile(
  ns: string,
  { bus, eventStore }: Pick<StreamEngines, "bus" | "eventStore">,
): Promise<ReconciliationRead> {
  const accounts = new Map<string, Account>(ACCEPTED.map(({ topic }) => [topic, newAccount(topic)]));
  const problems: Problem[] = [];
  const handled = new Map<string, number>();
  for (const { topic, group } of ACCEPTED) {
    const account = accountOf(accounts, topic);
    const ends = await bus.scan(topic, (messages) => {
      for (const message of messages) if (nsOf(message) === ns) accept(account, idOf(message));
    });
    for (const place of await bus.committed(group)) {
      // A group that stands outside the log has handled nothing of what is in it.
      if (place.topic === topic && place.offset <= (ends.get(place.partition) ?? 0))
        handled.set(`${topic}/${place.partition}`, place.offset);
    }
  }
  await readLog(ns, eventStore, accounts, problems);
  await readParked(ns, bus, accounts);
  for (const { topic } of ACCEPTED) {
    const account = accountOf(accounts, topic);
    if (account.open.size === 0) continue;
    const missing = new Map<string, Problem>();
    await bus.scan(topic, (messages) => {
      for (const message of messages) nameIfMissing(message, account.open, handled, missing);
    });
    account.counts.missing = missing.size;
    account.counts.waiting = account.open.size - missing.size;
    problems.push(...[...missing.values()].slice(0, MOST_NAMED));
  }
  const topics = ACCEPTED.map(({ topic }) => accountOf(accounts, topic).counts);
  return { ok: topics.every(({ missing, twice }) => missing + twice === 0), topics, problems };
}

function accept({ counts, open }: Account, id: string): void {
  counts.deliveries += 1;
  if (open.has(id)) return;
  open.add(id);
  counts.accepted += 1;
}

async function readLog(
  ns: string,
  eventStore: Pick<EventStore, "readAll">,
  accounts: ReadonlyMap<string, Account>,
  problems: Problem[],
): Promise<void> {
  for (let after: string | undefined, end = false; !end;) {
    const page = await eventStore.readAll({ after, prefixes: PREFIXES, maxCount: PAGE });
    for (const stored of page.events) {
      const place = parseStreamName(stored.stream);
      if (place.ns !== ns) continue;
      if (place.category === "parked") {
        const { topic, id } = JSON.parse(stored.data) as { readonly topic: string; readonly id: string };
        const account = accounts.get(topic);
        if (account?.open.has(short(id)) === true) account.noted.add(short(id));
        continue;
      }
      for (const { topic, identity, fate } of recordedDeliveries(stored)) {
        const account = accountOf(accounts, topic);
        const id = short(parkedId(topic, identity));
        if (fate === "noted") {
          if (account.open.has(id)) account.noted.add(id);
        } else if (!record(account, id) && fate === "recorded") {
          account.counts.twice += 1;
          const at = `${stored.stream} revision ${stored.revision}`;
          if (account.counts.twice <= MOST_NAMED) problems.push({ kind: "twice", topic, identity, at });
        }
      }
    }
    after = page.next ?? after;
    end = page.end;
  }
}

/** False when it was in the log before. */
function record({ counts, open, recorded }: Account, id: string): boolean {
  if (recorded.has(id)) return false;
  recorded.add(id);
  if (open.delete(id)) counts.recorded += 1;
  else counts.older += 1;
  return true;
}

/** What is parked now, from the topic itself: a table in memory may be a moment behind. */
async function readParked(ns: string, bus: StreamEngines["bus"], accounts: ReadonlyMap<string, Account>): Promise<void> {
  const parked = new Map<string, Account>();
  await bus.scan("parked", (messages) => {
    for (const { key, content } of messages) {
      const record = content.kind === "body" ? (content.body as { readonly topic: string; readonly ns: string }) : undefined;
      const account = record?.ns === ns ? accounts.get(record.topic) : undefined;
      if (account === undefined) parked.delete(short(key));
      else parked.set(short(key), account);
    }
  });
  for (const [id, { counts, open, recorded }] of parked) {
    if (open.delete(id)) counts.parked += 1;
    else if (recorded.has(id)) counts.mended += 1;
  }
  for (const { counts, open, noted } of accounts.values()) for (const id of noted) if (open.delete(id)) counts.erased += 1;
}

/** A message counts as missing once one of its deliveries has been handled; before that it waits. */
function nameIfMissing(
  message: ReceivedMessage,
  open: ReadonlySet<string>,
  handled: ReadonlyMap<string, number>,
  missing: Map<string, Problem>,
): void {
  const { topic, partition, offset } = message;
  if (offset >= (handled.get(`${topic}/${partition}`) ?? 0)) return;
  const id = idOf(message);
  if (!open.has(id) || missing.has(id)) return;
  missing.set(id, { kind: "missing", topic, identity: identityOf(message), at: `${topic}/${partition} at ${offset}` });
}

function nsOf({ key, content }: ReceivedMessage): string {
  return content.kind === "body" ? (content.body as { readonly ns: string }).ns : ownerOfKey(key).ns;
}

function idOf(message: ReceivedMessage): string {
  return short(parkedId(message.topic, identityOf(message)));
}

/** As the topic's owner would park it. */
function identityOf({ content }: ReceivedMessage): string {
  return content.kind === "body"
    ? deliveryIdentity(content.body as Parameters<typeof deliveryIdentity>[0])
    : hash("sha256", content.bytes, "base64url");
}

/** 128 bits of the id of a parked record, in a text of its own: unlike messages have unlike ones. */
function short(id: string): string {
  return Buffer.from(id, "base64url").toString("latin1", 0, 16);
}

function newAccount(topic: AcceptedTopic): Account {
  const none = {
    deliveries: 0,
    accepted: 0,
    recorded: 0,
    parked: 0,
    erased: 0,
    waiting: 0,
    missing: 0,
    twice: 0,
    older: 0,
    mended: 0,
  };
  return { counts: { topic, ...none }, open: new Set(), recorded: new Set(), noted: new Set() };
}

function accountOf(accounts: ReadonlyMap<string, Account>, topic: string): Account {
  const account = accounts.get(topic);
  if (account === undefined) throw new Error(`${topic} is no accepted topic`);
  return account;
}
