/**
 * The stack under measurement: broker, front and all services as processes of this machine, the accounts that the load asks for,
 * and the sums that must be right in the end.
 */
import { formatAmount, parseAmount } from "@rerate/money";
import { startStack, SERVICES, type Stack } from "@rerate/stack";
import { readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { HOT_ACCOUNT, PLAN, type Load } from "../ingest/load.ts";
import { childrenOf, type ProcessGroups } from "./cpu.ts";

/** Interrupted, it leaves no process and no data behind. */
export async function startStackUnderLoad(dataDirectory: string): Promise<Stack> {
  const starting = startStack({ dataDirectory, environment: { RERATE_LOG_LEVEL: "warn" } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      const stopped = starting.then((stack) => stack.stop());
      void stopped.finally(() => {
        rmSync(dataDirectory, { recursive: true, force: true });
        process.exit(1);
      });
    });
  }
  return await starting;
}

/** All processes of the stack by what they are; the broker with the process that looks after it. */
export function groupsOf(stack: Stack): ProcessGroups {
  const groups = new Map<string, readonly number[]>();
  for (const service of SERVICES) {
    const running = stack.processesOf(service).flatMap(({ child }) => (child?.isRunning === true ? [child.pid] : []));
    groups.set(service, running);
  }
  const { front, broker } = stack;
  if (front?.child !== undefined) groups.set("front", [front.child.pid]);
  if (broker?.child !== undefined) groups.set("broker", [broker.child.pid, ...childrenOf(broker.child.pid)]);
  return groups;
}

/** Not measured: publishes the plan and opens every account. */
export async function openAccounts({ url }: Stack, accounts: readonly string[]): Promise<void> {
  const plan = readFileSync(new URL(`../../../../${PLAN.file}`, import.meta.url), "utf8");
  await call(url, "POST", "/v1/documents?effectiveFrom=2000-01-01T00:00:00Z", plan, "application/yaml");
  let next = 0;
  const open = async (): Promise<void> => {
    for (let account = accounts[next++]; account !== undefined; account = accounts[next++]) {
      await call(url, "POST", "/v1/accounts", JSON.stringify({ account, currency: "USD" }));
      await call(url, "PUT", `/v1/accounts/${account}/plan`, JSON.stringify({ planId: PLAN.id, from: "2000-01-01T00:00:00Z" }));
    }
  };
  await Promise.all(Array.from({ length: ACCOUNTS_AT_ONCE }, open));
}

const ACCOUNTS_AT_ONCE = 64;

async function call(
  url: string,
  method: string,
  path: string,
  body?: string,
  contentType = "application/json",
): Promise<unknown> {
  const headers: Record<string, string> = body === undefined ? {} : { "content-type": contentType };
  const answer = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  if (!answer.ok) throw new Error(`${method} ${path} answers ${answer.status}: ${await answer.text()}`);
  return await answer.json();
}

interface Units {
  readonly units: readonly { readonly unit: string; readonly net: string; readonly unpaid?: string }[];
}

const LOOK_EVERY_MS = 20;
const LOOK_FOR_MS = 300_000;

/** Waits until the read models show, for the accounts of the newest events, every charge, and that their wallets owe it. */
export async function waitForBalances({ url }: Stack, load: Load): Promise<void> {
  const until = performance.now() + LOOK_FOR_MS;
  // The last first: while it is not right, the others need not be asked.
  for (const account of load.newest.toReversed()) {
    const expected = load.expected(account);
    for (;;) {
      const { units } = (await call(url, "GET", `/v1/accounts/${account}/balance`)) as Units;
      const { net = "0", unpaid = "0" } = units.find(({ unit }) => unit === "USD") ?? {};
      if (parseAmount(net) === expected && parseAmount(unpaid) === expected) break;
      if (parseAmount(net) > expected) throw new Error(`${account} was charged ${net}, more than ${formatAmount(expected)}`);
      if (performance.now() > until) throw new Error(`${account} stands at ${net} and not at ${formatAmount(expected)}`);
      await sleep(LOOK_EVERY_MS);
    }
  }
}

interface Totals extends Units {
  readonly facts: number;
  readonly parked: number;
  readonly accounts: readonly (Units & { readonly account: string })[];
}

/** The whole sum, and the balances of the thousand largest accounts and of the hot one, to the last atom. Throws when one is wrong. */
export async function checkSums({ url }: Stack, load: Load): Promise<string> {
  const { facts, parked, units, accounts } = (await call(url, "GET", "/v1/totals?limit=1000")) as Totals;
  const net = parseAmount(units.find(({ unit }) => unit === "USD")?.net ?? "0");
  if (net !== load.totalAtoms || facts !== load.facts || parked !== 0) {
    throw new Error(
      `the ledger says ${facts} facts, ${formatAmount(net)} USD, ${parked} parked; right is ${load.facts}, ${formatAmount(load.totalAtoms)}`,
    );
  }
  const hot = (await call(url, "GET", `/v1/accounts/${HOT_ACCOUNT}/balance`)) as Units;
  for (const { account, units: owed } of [...accounts, { account: HOT_ACCOUNT, ...hot }]) {
    const amount = parseAmount(owed.find(({ unit }) => unit === "USD")?.net ?? "0");
    if (amount === load.expected(account)) continue;
    throw new Error(`${account} owes ${formatAmount(amount)}, right is ${formatAmount(load.expected(account))}`);
  }
  return `sums exact: ${facts} facts, ${formatAmount(net)} USD, and the ${accounts.length} largest accounts`;
}
