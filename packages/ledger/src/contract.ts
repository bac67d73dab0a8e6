/**
 * The contract decider: an account is opened once, and put on plans from given times.
 *
 * Owns `contract-…` streams. Prices nothing and changes no history: what an assignment means for facts that are recorded already is
 * settlement's to say. Commands come over HTTP, so what is refused has a reason and leaves no trace.
 */
import { isCurrency, type Instant } from "@rerate/money";
import type { AccountOpened, ContractEvent, PlanAssigned } from "./contract-events.ts";
import { SKIP_NEEDS, type Decider, type Decision, type ParkReason } from "./decider.ts";

export type ContractCommand = OpenAccount | AssignPlan;

export interface OpenAccount {
  readonly kind: "open-account";
  readonly account: string;
  /** IANA name, for example `Europe/Berlin`: periods are counted in it. */
  readonly timeZone: string;
  /** ISO 4217 code, or the name of a credit unit. */
  readonly currency: string;
  /** Default: a wallet of the account's own name. */
  readonly wallet?: string | undefined;
}

export interface AssignPlan {
  readonly kind: "assign-plan";
  readonly planId: string;
  /** Pins one version; absent: the version in force at each time. */
  readonly planHash?: string | undefined;
  readonly from: Instant;
}

export interface ContractContext {
  /** Whether the plan, or this version of it, is published in the account's namespace. */
  planExists(planId: string, planHash: string | undefined): boolean;
}

export interface ContractFold {
  readonly stream: string;
  opened: AccountOpened | undefined;
  /** By start, each later than the one before. */
  assignments: readonly PlanAssigned[];
}

export const contract: Decider<ContractFold, ContractCommand, ContractEvent, ContractContext> = {
  name: "contract",
  initial: (stream) => ({ stream, opened: undefined, assignments: [] }),
  evolve,
  needs: () => SKIP_NEEDS,
  decide: (state, command, context) => (command.kind === "open-account" ? open(state, command) : assign(state, command, context)),
  keysOf: () => [],
  linkOf: () => undefined,
  deadlines: () => [],
  snapshot: (state) => JSON.stringify(state),
  revive: (text) => ({
    opened: undefined,
    ...(JSON.parse(text) as Omit<ContractFold, "opened"> & { readonly opened?: AccountOpened }),
  }),
};

function evolve(state: ContractFold, event: ContractEvent): ContractFold {
  switch (event.type) {
    case "AccountOpened":
      state.opened = event.data;
      return state;
    case "PlanAssigned":
      // A later decision replaces what was planned for its start and after it.
      state.assignments = [...state.assignments.filter(({ from }) => from < event.data.from), event.data];
      return state;
  }
}

function open(state: ContractFold, command: OpenAccount): Decision<ContractEvent> {
  const { account, timeZone, currency, wallet = account } = command;
  if (account === "" || wallet === "") return refuse("invalid-command", "an account and its wallet need a name");
  if (!isTimeZone(timeZone)) return refuse("invalid-command", `"${timeZone}" is not a time zone, such as Europe/Berlin or UTC`);
  if (!isUnit(currency))
    return refuse("invalid-command", `"${currency}" is neither an ISO 4217 currency nor a name for a credit unit`);
  const { opened } = state;
  if (opened === undefined) return record({ type: "AccountOpened", data: { account, timeZone, currency, wallet } });
  const same = opened.timeZone === timeZone && opened.currency === currency && opened.wallet === wallet;
  if (same) return DUPLICATE;
  return refuse(
    "conflict",
    `account "${account}" is open with ${opened.timeZone}, ${opened.currency} and wallet "${opened.wallet}"`,
  );
}

function assign(state: ContractFold, command: AssignPlan, context: ContractContext): Decision<ContractEvent> {
  if (state.opened === undefined) return refuse("unknown-account", "the account is not open");
  const { planId, planHash, from } = command;
  if (!context.planExists(planId, planHash)) {
    const version = planHash === undefined ? "" : ` in version ${planHash}`;
    return refuse("unknown-document", `no plan "${planId}"${version} is published`);
  }
  const known = state.assignments.some((each) => each.planId === planId && each.planHash === planHash && each.from === from);
  if (known) return DUPLICATE;
  return record({ type: "PlanAssigned", data: { planId, ...(planHash === undefined ? {} : { planHash }), from } });
}

function record(event: ContractEvent): Decision<ContractEvent> {
  return { kind: "record", events: [event], answer: { status: "recorded" } };
}

function refuse(reason: ParkReason, detail: string): Decision<ContractEvent> {
  return { kind: "park", reason, detail, events: [], answer: { status: reason === "conflict" ? "conflict" : "parked", detail } };
}

function isTimeZone(name: string): boolean {
  if (KNOWN_ZONES.has(name)) return true;
  try {
    if (new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone === "" || name === "") return false;
  } catch {
    return false;
  }
  KNOWN_ZONES.add(name);
  return true;
}

/** Zones that were found valid: asking takes longer than opening the account. There are a few hundred. */
const KNOWN_ZONES = new Set<string>();

function isUnit(name: string): boolean {
  return isCurrency(name) || /^[A-Za-z][A-Za-z0-9_.-]{0,31}$/.test(name);
}

const DUPLICATE: Decision<ContractEvent> = { kind: "skip", answer: { status: "duplicate" } };
