/**
 * The catalogue as a fold of `contract-…` and `document-…` events: who is on which rules from when, and the documents by
 * hash, compiled.
 *
 * A view in memory that a service keeps by following the log. Settlement turns it into `RulesBound` events before it
 * uses it, so that a replay never needs the catalogue of that day, only the documents that the hashes name.
 */
import { outcomeDefinitionSchema, type OutcomeDefinition } from "@rerate/outcomes";
import {
  compilePlan,
  planSchema,
  priceListSchema,
  type CompiledPlan,
  type PlanDocument,
  type PriceListDocument,
} from "@rerate/pricing";
import type { Instant } from "@rerate/money";
import type {
  AccountOpened,
  ContractEvent,
  DocumentEvent,
  DocumentKind,
  DocumentPublished,
  PlanAssigned,
} from "./contract-events.ts";
import { parseStreamName, partitionKey } from "./stream-name.ts";

/** The rules of an account from one instant to the next segment's. */
export interface RulesSegment {
  readonly from: Instant;
  readonly plan: string;
  readonly planId: string;
  readonly priceLists: Readonly<Record<string, string>>;
  readonly outcomeDefinition?: string;
  readonly timeZone: string;
  readonly currency: string;
  readonly wallet: string;
  readonly contractRevision: number;
}

export interface ContractState {
  readonly opened: AccountOpened;
  readonly assignments: readonly PlanAssigned[];
  readonly revision: number;
}

/** One immutable version of a document, as published. */
export interface DocumentVersion {
  readonly ns: string;
  readonly published: DocumentPublished;
  readonly publishedAt: Instant;
}

export interface Catalogue {
  /** Folds one event of a contract or document stream. Events of other streams are refused with a RangeError. */
  apply(stream: string, revision: number, recordedAt: Instant, event: ContractEvent | DocumentEvent): void;
  contract(ns: string, account: string): ContractState | undefined;
  accounts(ns: string): readonly string[];
  /**
   * The account's rules over time, by `from`; undefined for an unknown account. The same array as long as nothing changed,
   * so callers can tell by identity.
   */
  timeline(ns: string, account: string): readonly RulesSegment[] | undefined;
  /** A plan compiled with exactly these price lists (name → hash). Undefined while a document is not known here yet. */
  plan(planHash: string, priceLists: Readonly<Record<string, string>>): CompiledPlan | undefined;
  definition(hash: string): OutcomeDefinition | undefined;
  documents(ns: string): readonly DocumentVersion[];
}

export function createCatalogue(): Catalogue {
  const contracts = new Map<string, ContractState>();
  const versions = new Map<string, DocumentVersion[]>();
  const published = new Map<string, Map<string, DocumentVersion>>();
  /** A hash names one content, whoever published it. */
  const contents = new Map<string, unknown>();
  const timelines = new Map<string, readonly RulesSegment[]>();
  const plans = new Map<string, CompiledPlan>();
  const recent = new WeakMap<Readonly<Record<string, string>>, { readonly planHash: string; readonly plan: CompiledPlan }>();
  const definitions = new Map<string, OutcomeDefinition>();

  const versionsOf = (ns: string, kind: DocumentKind, id: string): readonly DocumentVersion[] =>
    versions.get(`${ns}\n${kind}\n${id}`) ?? [];

  return {
    apply(stream, revision, recordedAt, event) {
      const { category, ns, name } = parseStreamName(stream);
      switch (event.type) {
        case "DocumentPublished": {
          const version = { ns, published: event.data, publishedAt: recordedAt };
          const key = `${ns}\n${event.data.kind}\n${event.data.id}`;
          versions.set(key, inEffectOrder([...(versions.get(key) ?? []), version]));
          contents.set(event.data.hash, event.data.document);
          const ofNamespace = published.get(ns) ?? new Map<string, DocumentVersion>();
          published.set(ns, ofNamespace.set(event.data.hash, version));
          timelines.clear();
          return;
        }
        case "AccountOpened":
        case "PlanAssigned": {
          if (category !== "contract") throw new RangeError(`${event.type} does not belong in ${stream}`);
          const key = partitionKey(ns, name);
          contracts.set(key, foldContract(contracts.get(key), event, revision));
          timelines.delete(key);
          return;
        }
      }
    },
    contract: (ns, account) => contracts.get(partitionKey(ns, account)),
    accounts: (ns) =>
      [...contracts.values()].map((state) => state.opened.account).filter((account) => contracts.has(partitionKey(ns, account))),
    timeline(ns, account) {
      const key = partitionKey(ns, account);
      const known = timelines.get(key);
      if (known !== undefined) return known;
      const contract = contracts.get(key);
      if (contract === undefined) return undefined;
      const segments = segmentsOf(contract, (kind, id) => versionsOf(ns, kind, id));
      timelines.set(key, segments);
      return segments;
    },
    plan(planHash, priceLists) {
      // Bound rules hand in the same object for every fact: the text of the lists is needed once for each.
      const last = recent.get(priceLists);
      if (last?.planHash === planHash) return last.plan;
      const key = `${planHash}\n${JSON.stringify(priceLists)}`;
      const plan = plans.get(key) ?? compile(planHash, priceLists, (hash) => contents.get(hash));
      if (plan === undefined) return undefined;
      plans.set(key, plan);
      recent.set(priceLists, { planHash, plan });
      return plan;
    },
    definition(hash) {
      const known = definitions.get(hash);
      if (known !== undefined) return known;
      const document = contents.get(hash);
      if (document === undefined) return undefined;
      const definition = outcomeDefinitionSchema.parse(document);
      definitions.set(hash, definition);
      return definition;
    },
    documents: (ns) => [...(published.get(ns)?.values() ?? [])],
  };
}

/** Compiles a plan from documents by hash; undefined while one of them is missing. */
export function compile(
  planHash: string,
  priceLists: Readonly<Record<string, string>>,
  documentOf: (hash: string) => unknown,
): CompiledPlan | undefined {
  const document = documentOf(planHash);
  if (document === undefined) return undefined;
  const lists = new Map<string, { hash: string; document: PriceListDocument }>();
  for (const [name, hash] of Object.entries(priceLists)) {
    const list = documentOf(hash);
    if (list === undefined) return undefined;
    lists.set(name, { hash, document: priceListSchema.parse(list) });
  }
  return compilePlan({ document: planSchema.parse(document), hash: planHash, priceLists: lists });
}

/** The names of the price lists that a plan's items use. */
export function priceListsOf(plan: PlanDocument): string[] {
  const names = new Set<string>();
  for (const item of plan.items ?? []) if ("priceList" in item && typeof item.priceList === "string") names.add(item.priceList);
  return [...names].sort();
}

function foldContract(state: ContractState | undefined, event: ContractEvent, revision: number): ContractState {
  switch (event.type) {
    case "AccountOpened":
      return { opened: event.data, assignments: state?.assignments ?? [], revision };
    case "PlanAssigned": {
      if (state === undefined) throw new Error("PlanAssigned before AccountOpened");
      // A later assignment replaces what was planned for its start and after it.
      const kept = state.assignments.filter((assignment) => assignment.from < event.data.from);
      return { ...state, assignments: [...kept, event.data], revision };
    }
  }
}

/** By effective date; of two with the same date the one published later counts. */
function inEffectOrder(list: readonly DocumentVersion[]): DocumentVersion[] {
  return list.toSorted((a, b) =>
    a.published.effectiveFrom === b.published.effectiveFrom ? 0 : a.published.effectiveFrom < b.published.effectiveFrom ? -1 : 1,
  );
}

function segmentsOf(
  contract: ContractState,
  versionsOf: (kind: DocumentKind, id: string) => readonly DocumentVersion[],
): readonly RulesSegment[] {
  const segments: RulesSegment[] = [];
  contract.assignments.forEach((assignment, index) => {
    const end = contract.assignments[index + 1]?.from;
    for (const from of boundariesOf(assignment, versionsOf)) {
      if (end !== undefined && from >= end) break;
      const segment = segmentAt(contract, assignment, from, versionsOf);
      if (segment === undefined) continue;
      const last = segments.at(-1);
      if (last === undefined || !sameRules(last, segment)) segments.push(segment);
    }
  });
  return segments;
}

/** The instants at which an assignment's rules may change: its start, and where a document that it uses changes version. */
function boundariesOf(
  assignment: PlanAssigned,
  versionsOf: (kind: DocumentKind, id: string) => readonly DocumentVersion[],
): Instant[] {
  const starts = new Set<Instant>([assignment.from]);
  const plans = versionsOf("plan", assignment.planId).filter(
    ({ published }) => assignment.planHash === undefined || published.hash === assignment.planHash,
  );
  for (const { published } of plans) {
    if (assignment.planHash === undefined) starts.add(published.effectiveFrom);
    const plan = planSchema.parse(published.document);
    for (const name of priceListsOf(plan))
      for (const list of versionsOf("price-list", name)) starts.add(list.published.effectiveFrom);
    if (plan.outcome !== undefined) {
      for (const definition of versionsOf("outcome-definition", plan.outcome.definition))
        starts.add(definition.published.effectiveFrom);
    }
  }
  return [...starts].filter((start) => start >= assignment.from).sort();
}

function segmentAt(
  contract: ContractState,
  assignment: PlanAssigned,
  from: Instant,
  versionsOf: (kind: DocumentKind, id: string) => readonly DocumentVersion[],
): RulesSegment | undefined {
  const plans = versionsOf("plan", assignment.planId);
  const version =
    assignment.planHash === undefined
      ? plans.findLast(({ published }) => published.effectiveFrom <= from)
      : plans.find(({ published }) => published.hash === assignment.planHash);
  if (version === undefined) return undefined;
  const plan = planSchema.parse(version.published.document);
  const inForce = (kind: DocumentKind, id: string): string | undefined =>
    versionsOf(kind, id).findLast(({ published }) => published.effectiveFrom <= from)?.published.hash;
  const priceLists: Record<string, string> = {};
  for (const name of priceListsOf(plan)) {
    const hash = inForce("price-list", name);
    if (hash === undefined) return undefined;
    priceLists[name] = hash;
  }
  const outcomeDefinition = plan.outcome === undefined ? undefined : inForce("outcome-definition", plan.outcome.definition);
  if (plan.outcome !== undefined && outcomeDefinition === undefined) return undefined;
  const { timeZone, currency, wallet } = contract.opened;
  return {
    from,
    plan: version.published.hash,
    planId: assignment.planId,
    priceLists,
    ...(outcomeDefinition === undefined ? {} : { outcomeDefinition }),
    timeZone,
    currency,
    wallet,
    contractRevision: contract.revision,
  };
}

/** Whether two segments price alike: everything but when they start and which contract event said so. */
export function sameRules(
  a: Omit<RulesSegment, "from" | "contractRevision">,
  b: Omit<RulesSegment, "from" | "contractRevision">,
): boolean {
  return (
    a.plan === b.plan &&
    a.outcomeDefinition === b.outcomeDefinition &&
    a.timeZone === b.timeZone &&
    a.currency === b.currency &&
    a.wallet === b.wallet &&
    JSON.stringify(a.priceLists) === JSON.stringify(b.priceLists)
  );
}
