/**
 * Reads of one account: `rerate balance`, `entries`, `explain`, `invoice`, `usage`, `outcome`.
 */
import { InvalidArgumentError, type Command } from "commander";
import type { ExplanationRead, InvoiceRead, UsageRead } from "@rerate/wire";
import { examples, whole, type Act } from "../command-line.ts";
import { EXIT, Failure } from "../failure.ts";
import { table } from "../terminal.ts";

type Verdict = "success" | "partial" | "failure" | "pending";

/** Adds the reads; returns the `usage` command, which sending usage is a part of. */
export function addReadCommands(program: Command, act: Act): Command {
  program
    .command("balance <account>")
    .description("what an account was charged, what it got back, what is unpaid, and its grants")
    .addHelpText("after", examples("balance acme"))
    .action(async (account: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.balance(account);
        terminal.result(read, () => [
          ...table(
            ["unit", "charged", "refunded", "bonus", "net", "unpaid"],
            read.units.map((row) => [row.unit, row.charged, row.refunded, row.bonus, row.net, row.unpaid]),
          ),
          ...grantLines(read.units.flatMap(({ grants }) => grants)),
        ]);
        return undefined;
      }),
    );

  program
    .command("entries <account>")
    .description("the ledger of an account, entry by entry")
    .option("--limit <n>", "at most so many", whole, 100)
    .option("--cursor <text>", "go on after an earlier page")
    .option("--period <key>", "of one billing period, for example 2026-03")
    .option("--item <id>", "of one charge item")
    .option("--newest", "newest first")
    .addHelpText("after", examples("entries acme --newest --limit 20"))
    .action(
      async (
        account: string,
        {
          newest,
          ...options
        }: {
          readonly limit: number;
          readonly cursor?: string;
          readonly period?: string;
          readonly item?: string;
          readonly newest?: true;
        },
        command: Command,
      ) =>
        act(command, async ({ client, terminal }) => {
          const page = await client.entries(account, { ...options, order: newest === true ? "newest" : "oldest" });
          terminal.result(page, () => [
            ...table(
              ["entry", "kind", "item", "amount", "unit", "occurred", "fact"],
              page.entries.map((row) => [String(row.n), row.kind, row.item, row.amount, row.unit, row.occurredAt, row.id ?? ""]),
            ),
            ...(page.next === undefined ? [] : [`There are more: --cursor ${page.next}`]),
          ]);
          return undefined;
        }),
    );

  program
    .command("explain <account> <entry>")
    .description("an entry as arithmetic, with the rules that it stands on")
    .addHelpText("after", examples("explain acme 17"))
    .action(async (account: string, entry: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.explain(account, whole(entry));
        terminal.result(read, () => explanationLines(read));
        return undefined;
      }),
    );

  program
    .command("invoice <account> [period]")
    .description("an invoice; without a period the list of them and the latest in full")
    .addHelpText("after", examples("invoice acme", "invoice acme 2026-03"))
    .action(async (account: string, period: string | undefined, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        if (period !== undefined) {
          const read = await client.invoice(account, period);
          terminal.result(read, () => invoiceLines(read));
          return undefined;
        }
        const read = await client.invoices(account);
        const last = read.invoices.toSorted((a, b) => (a.start < b.start ? -1 : 1)).at(-1);
        const latest = last === undefined ? undefined : await client.invoice(account, last.period);
        terminal.result({ ...read, latest }, () => [
          ...table(
            ["period", "status", "total", "credits", "due", "unit"],
            read.invoices.flatMap((row) =>
              row.totals.map(({ unit, total, credits, due }) => [row.period, row.status, total, credits, due, unit]),
            ),
          ),
          ...(latest === undefined ? [] : ["", ...invoiceLines(latest)]),
        ]);
        return undefined;
      }),
    );

  const usage = program
    .command("usage [account]")
    .description("what an account used, by model or anything else; `usage send` sends usage")
    .option("--by <field>", "model, provider, type, item, day, hour, or a dimension", "model")
    .option("--from <time>", "first time, inclusive")
    .option("--to <time>", "last time, exclusive")
    .addHelpText(
      "after",
      examples("usage acme --by model", "usage send --account demo --model gpt-4-turbo --input 812 --output 204"),
    )
    .action(
      async (
        account: string | undefined,
        options: { readonly by: string; readonly from?: string; readonly to?: string },
        command: Command,
      ) =>
        act(command, async ({ client, terminal }) => {
          if (account === undefined)
            throw new Failure(EXIT.usage, "Name an account, for example `rerate usage acme`, or use `rerate usage send`.");
          const read = await client.usage(account, options);
          terminal.result(read, () => usageLines(read));
          return undefined;
        }),
    );

  program
    .command("outcome <account> [source] [id]")
    .description("an outcome with its signals and verdicts, or the list of them")
    .option("--verdict <verdict>", "success, partial, failure or pending", verdictOf)
    .option("--limit <n>", "at most so many", whole, 100)
    .option("--cursor <text>", "go on after an earlier page")
    .addHelpText("after", examples("outcome acme --verdict pending", "outcome acme api req-1"))
    .action(
      async (
        account: string,
        source: string | undefined,
        id: string | undefined,
        options: { readonly verdict?: Verdict; readonly limit: number; readonly cursor?: string },
        command: Command,
      ) =>
        act(command, async ({ client, terminal }) => {
          if (source !== undefined && id === undefined)
            throw new Failure(EXIT.usage, "An outcome is named by its source and its id: `rerate outcome acme api req-1`.");
          if (source !== undefined && id !== undefined) {
            const read = await client.outcome(account, source, id);
            terminal.result(read, () => [
              `${read.source} ${read.id}: ${read.verdict ?? read.status}${read.reason === undefined ? "" : ` (${read.reason}, score ${read.score ?? ""})`}`,
              ...table(
                ["signal", "confidence", "occurred", "effect"],
                read.signals.map((row) => [row.signal, row.confidence ?? "1", row.occurredAt, row.effect]),
              ),
              ...table(
                ["entry", "kind", "item", "amount", "unit"],
                read.entries.map((row) => [String(row.n), row.kind, row.item, row.amount, row.unit]),
              ),
            ]);
            return undefined;
          }
          const page = await client.outcomes(account, options);
          terminal.result(page, () => [
            ...table(
              ["source", "id", "verdict", "score", "reason"],
              page.outcomes.map((row) => [row.source, row.id, row.verdict ?? row.status, row.score ?? "", row.reason ?? ""]),
            ),
            ...(page.next === undefined ? [] : [`There are more: --cursor ${page.next}`]),
          ]);
          return undefined;
        }),
    );
  return usage;
}

/** An entry as arithmetic, for people. */
export function explanationLines({ entry, lines, rules }: ExplanationRead): string[] {
  return [
    `Entry ${entry.n}: ${entry.kind} ${entry.item}, ${entry.amount} ${entry.unit}`,
    ...lines.map((line) => `  ${line}`),
    ...(rules === undefined ? [] : [`  under plan ${rules.planId} (${rules.plan})`]),
  ];
}

function grantLines(
  grants: readonly {
    readonly id: string;
    readonly source: string;
    readonly granted: string;
    readonly remaining: string;
    readonly unit: string;
    readonly expiresAt?: string | undefined;
  }[],
): string[] {
  if (grants.length === 0) return [];
  return [
    "",
    "Grants",
    ...table(
      ["id", "source", "granted", "left", "unit", "expires"],
      grants.map((row) => [row.id, row.source, row.granted, row.remaining, row.unit, row.expiresAt ?? "never"]),
    ),
  ];
}

function invoiceLines(read: InvoiceRead): string[] {
  const sections = read.sections.flatMap(({ unit, lines, rounding, total, credits, due }) => [
    "",
    ...table(
      ["item", "kind", "quantity", "of", "exact", `amount ${unit}`],
      lines.map((row) => [
        row.originalPeriod === undefined ? row.item : `${row.item} (${row.originalPeriod})`,
        row.kind,
        // What is measured in money already has no quantity beside its amount.
        row.measureUnit === "atoms" ? "" : row.quantity,
        row.measureUnit === "atoms" ? "" : row.measureUnit,
        row.exactAmount,
        row.amount,
      ]),
    ),
    `rounding ${rounding}, total ${total} ${unit}, credits ${credits}, due ${due} ${unit}`,
  ]);
  return [`Invoice of ${read.account} for ${read.period} (${read.status}): ${read.start} to ${read.end}`, ...sections];
}

function usageLines(read: UsageRead): string[] {
  const quantities = [...new Set(read.rows.flatMap((row) => Object.keys(row.quantities)))].sort();
  const units = [...new Set(read.rows.flatMap((row) => Object.keys(row.amounts)))].sort();
  return table(
    [read.by, "events", ...quantities, ...units],
    read.rows.map((row) => [
      row.group === "" ? "(none)" : row.group,
      String(row.events),
      ...quantities.map((name) => row.quantities[name] ?? "0"),
      ...units.map((unit) => row.amounts[unit] ?? "0"),
    ]),
  );
}

function verdictOf(text: string): Verdict {
  if (text === "success" || text === "partial" || text === "failure" || text === "pending") return text;
  throw new InvalidArgumentError("It must be success, partial, failure or pending.");
}
