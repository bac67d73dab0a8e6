/**
 * Catalog as a service: appends what its deciders decide about contracts, documents and keys. Nothing arrives by topic: its
 * doors wait for the decision.
 */
import { createWorker, type ServiceSurroundings, type Worker } from "@rerate/flow";
import {
  apiKeys,
  contract,
  decodeEvent,
  documents,
  encodeEvent,
  ownerOfKey,
  parseStreamName,
  type Catalogue,
  type ContractCommand,
  type ContractContext,
  type ContractEvent,
  type Decider,
  type DocumentEvent,
  type DomainEvent,
  type EventOf,
  type KeyCommand,
  type KeyEvent,
  type PublishDocument,
} from "@rerate/ledger";
import { instant } from "@rerate/money";
import type { CatalogCommand, Record } from "./commands.ts";

export interface CatalogOptions extends ServiceSurroundings {
  readonly catalogue: Catalogue;
}

export interface CatalogService {
  readonly record: Record;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A command with the stream that it is for. */
interface Addressed<Command> {
  readonly stream: string;
  readonly command: Command;
}

export function createCatalogService(options: CatalogOptions): CatalogService {
  const published = workerFor(options, "document", documents, () => undefined);
  const contracts = workerFor(options, "contract", contract, (stream) => contractContext(options.catalogue, stream));
  const keys = workerFor(options, "key", apiKeys, () => undefined);
  const workers = [contracts, published, keys];
  return {
    async record(stream, event) {
      const [answer] = await submit(stream, event);
      if (answer === undefined) throw new Error(`${stream} gave no answer`);
      return answer;
    },
    async start() {
      for (const worker of workers) await worker.start();
    },
    async stop() {
      for (const worker of workers) await worker.stop();
    },
  };

  function submit(stream: string, event: CatalogCommand) {
    switch (event.type) {
      case "AccountOpened":
        return contracts.submit([{ stream, command: { kind: "open-account", ...event.data } }]);
      case "PlanAssigned":
        return contracts.submit([{ stream, command: { kind: "assign-plan", ...event.data } }]);
      case "DocumentPublished":
        return published.submit([{ stream, command: publishCommand(event) }]);
      case "KeyCreated":
        return keys.submit([{ stream, command: { kind: "create-key", ...event.data } }]);
      case "KeyRevoked":
        return keys.submit([{ stream, command: { kind: "revoke-key", ...event.data } }]);
    }
  }
}

/** Plans are looked up in the account's own namespace. */
function contractContext(catalogue: Catalogue, stream: string): ContractContext {
  const { ns } = parseStreamName(stream);
  return {
    planExists: (planId, planHash) =>
      catalogue
        .documents(ns)
        .some(
          ({ published: { kind, id, hash } }) =>
            kind === "plan" && id === planId && (planHash === undefined || hash === planHash),
        ),
  };
}

function publishCommand({ data }: DocumentEvent): PublishDocument {
  const { kind, ...version } = data;
  return { ...version, kind: "publish-document", documentKind: kind };
}

function workerFor<State, Command extends ContractCommand | KeyCommand | PublishDocument, Event extends DomainEvent, Context>(
  options: CatalogOptions,
  category: "contract" | "document" | "key",
  decider: Decider<State, Command, Event & (ContractEvent | DocumentEvent | KeyEvent), Context>,
  contextOf: (stream: string) => Context,
): Worker<Addressed<Command>> {
  const { catalogue: _catalogue, ...surroundings } = options;
  return createWorker<State, Addressed<Command>, Event & EventOf[typeof category], undefined>({
    ...surroundings,
    name: `catalog-${category}`,
    cache: options.cacheFor(`catalog-${category}`),
    decider: {
      ...decider,
      needs: (state, { stream, command }) => decider.needs(state, command, contextOf(stream)),
      decide: (state, { stream, command }, _context, history, at) =>
        decider.decide(state, command, contextOf(stream), history, { revision: at.revision, recordedAt: instant(at.recordedAt) }),
      merge: () => undefined,
    },
    codec: { encode: encodeEvent, decode: (stored) => decodeEvent(category, stored) as Event & EventOf[typeof category] },
    prefixes: [`${category}-`],
    streamOf: ({ stream }) => stream,
    ownerOf: ownerOfKey,
    inputs: [],
    context: () => undefined,
  });
}
