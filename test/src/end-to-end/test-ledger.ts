/**
 * A whole ledger for a test, on whichever engines: tests talk to it by HTTP alone. The parts behind the doors are there for waiting
 * until nothing moves any more, and for auditing.
 */
import { createImportHold, sendInBatches } from "@rerate/cli";
import type { RerateClient } from "@rerate/client";
import type { Alteration, EventStore, StoredEvent } from "@rerate/event-store";
import { sleep } from "@rerate/runtime";
import type { Database } from "@rerate/sqlite";
import type { CostBody, ReceiptRead, SignalBody, UsageEventBody } from "@rerate/wire";
import { readFile } from "node:fs/promises";

/** What one set of engines gives; everything else is the same on all of them. */
export interface LedgerEngines {
  /** Another one after a restart. */
  readonly client: RerateClient;
  /** The log, for auditing; another one after a restart. */
  readonly eventStore: EventStore;
  /** Runs a task on the read models as they are now. It must not write. */
  withReadModels<Result>(task: (database: Database) => Promise<Result>): Promise<Result>;
  /** Runs a task that may write to the read models, while nobody else does. The ledger cannot be read afterwards. */
  withReadModelsAlone<Result>(task: (database: Database) => Promise<Result>): Promise<Result>;
  /** Resolves when every message has been decided and every event is in the read models. */
  settled(): Promise<void>;
  /** Resolves when every deadline that is due has fired, and everything that follows from it is settled. */
  quiet(): Promise<void>;
  /** A copy of the log as it is now, with the first event changed for which `alter` gives other text. */
  openAltered(alter: (event: StoredEvent) => string | undefined): Promise<AlteredLog>;
  stop(): Promise<void>;
  /** Starts again on the same data; `without` deletes the read models and every other cache in between. */
  restart(options?: { readonly without?: "caches" }): Promise<void>;
  /** Stops for good and deletes the data. */
  remove(): Promise<void>;
}

export interface AlteredLog {
  readonly eventStore: EventStore;
  /** Undefined where no event was changed. */
  readonly alteration: Alteration | undefined;
  /** Deletes the copy, too. */
  close(): Promise<void>;
}

export interface TestLedger extends LedgerEngines {
  /** Publishes documents of `examples/`, in force from before all history. */
  publish(...paths: readonly string[]): Promise<void>;
  /** Opens an account in US dollars on a plan, from before all history. */
  open(account: string, planId: string): Promise<void>;
  /** Sends facts while deadlines of their accounts are held, then lets those go and waits until nothing moves. */
  importFacts(facts: Facts): Promise<void>;
}

export interface Facts {
  readonly usage?: Iterable<UsageEventBody>;
  readonly corrections?: Iterable<UsageEventBody>;
  readonly signals?: Iterable<SignalBody>;
  readonly costs?: Iterable<CostBody>;
}

/** Before everything in any history. */
export const SINCE = "2000-01-01T00:00:00Z";
const EXAMPLES = new URL("../../../examples/", import.meta.url);

export function createTestLedger(engines: LedgerEngines): TestLedger {
  let imports = 0;
  return {
    get client() {
      return engines.client;
    },
    get eventStore() {
      return engines.eventStore;
    },
    withReadModels: (task) => engines.withReadModels(task),
    withReadModelsAlone: (task) => engines.withReadModelsAlone(task),
    settled: () => engines.settled(),
    quiet: () => engines.quiet(),
    openAltered: (alter) => engines.openAltered(alter),
    stop: () => engines.stop(),
    restart: (options) => engines.restart(options),
    remove: () => engines.remove(),
    async publish(...paths) {
      for (const path of paths) {
        await engines.client.publishDocument(await readFile(new URL(path, EXAMPLES), "utf8"), { effectiveFrom: SINCE });
      }
    },
    async open(account, planId) {
      await engines.client.openAccount({ account, currency: "USD" });
      await engines.client.assignPlan(account, { planId, from: SINCE });
    },
    async importFacts(facts) {
      const { client } = engines;
      const hold = createImportHold((command) => client.sendImport(command), { source: "test", id: `import-${(imports += 1)}` });
      await sendFacts(client, facts, (account) => hold.start(account));
      await engines.settled();
      await hold.end();
      await engines.quiet();
    },
  };
}

/** Sends everything in batches, one kind after the other. */
export async function sendFacts(
  client: RerateClient,
  { usage = [], corrections = [], signals = [], costs = [] }: Facts,
  beforeAccount: (account: string) => Promise<void> = async () => {},
): Promise<void> {
  const subject = ({ subject }: UsageEventBody): string => subject;
  const account = ({ account }: { readonly account: string }): string => account;
  await send(usage, (batch) => client.sendUsage(batch), subject, beforeAccount);
  await send(corrections, (batch) => client.sendCorrections(batch), subject, beforeAccount);
  await send(signals, (batch) => client.sendSignals(batch), account, beforeAccount);
  await send(costs, (batch) => client.sendCosts(batch), account, beforeAccount);
}

async function send<Body>(
  bodies: Iterable<Body>,
  sendBatch: (batch: readonly Body[]) => Promise<ReceiptRead>,
  accountOf: (body: Body) => string,
  beforeAccount: (account: string) => Promise<void>,
): Promise<void> {
  await sendInBatches(stream(bodies), { send: sendBatch, accountOf, beforeAccount, sleep });
}

async function* stream<Body>(bodies: Iterable<Body>): AsyncGenerator<Body> {
  yield* bodies;
}
