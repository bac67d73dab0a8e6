/**
 * `rerate account`: open, list, show, assign.
 */
import type { Command } from "commander";
import { examples, whole, type Act } from "../command-line.ts";
import { table } from "../terminal.ts";

interface OpenOptions {
  readonly currency: string;
  readonly timeZone?: string;
  readonly wallet?: string;
  readonly plan?: string;
  readonly from?: string;
}

export function addAccountCommands(program: Command, act: Act): void {
  const account = program.command("account").description("open accounts and put them on plans");

  account
    .command("open <account>")
    .description("open an account, and put it on a plan")
    .option("--currency <code>", "ISO 4217 code", "USD")
    .option("--time-zone <name>", "where its billing periods begin and end (default: UTC)")
    .option("--wallet <name>", "the wallet that pays (default: the account's own name)")
    .option("--plan <id>", "assign this plan at once")
    .option("--from <time>", "from when the plan counts (default: from the beginning)")
    .addHelpText("after", examples("account open acme --plan chat-gpt-4-turbo --from 2026-01-01T00:00:00Z"))
    .action(async (name: string, options: OpenOptions, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const { currency, timeZone, wallet, plan, from } = options;
        const opened = await client.openAccount({
          account: name,
          currency,
          ...(timeZone === undefined ? {} : { timeZone }),
          ...(wallet === undefined ? {} : { wallet }),
        });
        const assigned =
          plan === undefined
            ? undefined
            : await client.assignPlan(name, { planId: plan, ...(from === undefined ? {} : { from }) });
        terminal.result(
          { account: name, opened: opened.status, ...(assigned === undefined ? {} : { assigned: assigned.status }) },
          () => [
            opened.status === "recorded" ? `${name} is open.` : `${name} was open already.`,
            ...(plan === undefined ? [`Put it on a plan: rerate account assign ${name} PLAN`] : [`It is on plan ${plan}.`]),
          ],
        );
        return undefined;
      }),
    );

  account
    .command("list")
    .description("list accounts")
    .option("--limit <n>", "at most so many", whole, 100)
    .option("--cursor <text>", "go on after an earlier page")
    .addHelpText("after", examples("account list --limit 20"))
    .action(async (options: { readonly limit: number; readonly cursor?: string }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const page = await client.accounts(options);
        terminal.result(page, () => [
          ...table(
            ["account", "plan", "currency", "time zone", "wallet"],
            page.accounts.map((row) => [row.account, row.planId ?? "none", row.currency, row.timeZone, row.wallet]),
          ),
          ...(page.next === undefined ? [] : [`There are more: --cursor ${page.next}`]),
        ]);
        return undefined;
      }),
    );

  account
    .command("show <account>")
    .description("show an account's contract, and the rules that price it")
    .addHelpText("after", examples("account show acme"))
    .action(async (name: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.account(name);
        terminal.result(read, () => [
          `${read.account}: ${read.currency}, ${read.timeZone}, paid by wallet ${read.wallet}, open since ${read.contract.openedAt}`,
          "",
          "Assigned plans",
          ...table(
            ["plan", "version", "from"],
            read.contract.assignments.map((row) => [row.planId, row.planHash ?? "in force at each time", row.from]),
          ),
          "",
          "Rules bound by settlement",
          ...table(
            ["from", "plan", "hash", "revision"],
            read.rules.map((row) => [row.from, row.planId, row.plan, String(row.revision)]),
          ),
        ]);
        return undefined;
      }),
    );

  account
    .command("assign <account> <plan>")
    .description("put an account on a plan")
    .option(
      "--from <time>",
      "facts that occurred from here on are priced by it (default: a first plan from the beginning, another shortly from now)",
    )
    .option("--hash <hash>", "one version of the plan (default: the version in force at each time)")
    .addHelpText("after", examples("account assign acme chat-gpt-4o --from 2026-12-01T00:00:00Z"))
    .action(async (name: string, plan: string, options: { readonly from?: string; readonly hash?: string }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const { from, hash } = options;
        const read = await client.assignPlan(name, {
          planId: plan,
          ...(from === undefined ? {} : { from }),
          ...(hash === undefined ? {} : { planHash: hash }),
        });
        terminal.result(read, () => [`${name} is on plan ${plan} from ${from ?? "now"} (${read.status}).`]);
        return undefined;
      }),
    );
}
