/** The outcome of a disturbed run as a table for people, and what is wrong with it. */
import type { ChaosCounts } from "./chaos.ts";
import type { DisturbedReport } from "./disturbed-run.ts";

export interface Reconciled {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly unapplied: readonly string[];
  readonly table: string;
}

export function reconcile({ sent, counts, chaos, expected, actual, seconds }: DisturbedReport): Reconciled {
  const { accepted, recorded, parked, entries, applied, draws } = counts;
  const inLog = new Set(recorded);
  const lost = [...sent, ...accepted].filter((identity) => !inLog.has(identity));
  const doubled = [...repeated(recorded), ...repeated(entries), ...repeated(applied)];
  const known = new Set(applied);
  const unapplied = entries.filter((entry) => !known.has(entry));
  const rows: readonly Row[] = [
    ...troubleRows(chaos),
    ["identities sent (each over HTTP and over Kafka)", new Set(sent).size],
    ["deliveries on the accepted topics", accepted.length],
    ["distinct identities accepted", new Set(accepted).size],
    ["distinct identities recorded", inLog.size],
    ["records of facts in the log", recorded.length],
    ["parked", parked],
    ["lost", lost.length],
    ["recorded or applied twice", doubled.length],
    ["entries", entries.length],
    ["entries applied by wallets", applied.length],
    ["draws on grants", draws],
    ["accounts equal to the undisturbed ledger", `${equalAccounts(expected, actual)} of ${Object.keys(expected).length}`],
    ["seconds", Math.round(seconds)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return { lost, doubled, unapplied, table: rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n") };
}

type Row = readonly [string, string | number];

function troubleRows({ kills, brokerKills, frontKills, closedPorts, zombies }: ChaosCounts): readonly Row[] {
  const services = Object.entries(kills);
  if (services.length === 0) return [];
  const names = services.map(([name, count]) => `${name} ${count}`).join(", ");
  return [
    [`services killed (${names})`, services.reduce((sum, [, count]) => sum + count, 0)],
    ["broker killed", brokerKills],
    ["event store's front killed", frontKills],
    ["ports closed after a kill", closedPorts],
    ["settlement zombies", zombies],
  ];
}

/** What stands in a list again. */
function repeated(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}

function equalAccounts(expected: Readonly<Record<string, unknown>>, actual: Readonly<Record<string, unknown>>): number {
  return Object.entries(expected).filter(([name, state]) => JSON.stringify(actual[name]) === JSON.stringify(state)).length;
}
