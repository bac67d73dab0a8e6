/**
 * All reads: what the projections answer, for callers that may ask.
 *
 * Owns no model and writes nothing. A foreign account is answered like an unknown one; what something cost us is for the
 * seller's own people, never for a customer's key.
 */
import {
  ACCOUNT_READERS,
  AUDITORS,
  invalid,
  notFound,
  ok,
  READERS,
  route,
  type Caller,
  type Route,
  type RoutePlugin,
  type RouteReply,
} from "@rerate/http";
import { parseInstant, type Instant } from "@rerate/money";
import {
  createSharedIdentities,
  CursorError,
  explainEntry,
  listAccounts,
  listCosts,
  listEntries,
  listInvoices,
  listOutcomes,
  readAccount,
  readBalance,
  readInvoice,
  readOutcome,
  readTotals,
  readUsage,
  type AccountId,
  type Reader,
} from "@rerate/projections";
import {
  accountParams,
  accountSchema,
  accountsQuery,
  accountsSchema,
  balanceSchema,
  costsQuery,
  costsSchema,
  entriesQuery,
  entriesSchema,
  entryParams,
  explanationSchema,
  invoiceParams,
  invoiceSchema,
  invoicesSchema,
  outcomeParams,
  outcomeSchema,
  outcomesQuery,
  outcomesSchema,
  pageQuery,
  pageSchema,
  sharedIdentitiesQuery,
  sharedIdentitiesSchema,
  totalsQuery,
  totalsSchema,
  usageQuery,
  usageSchema,
  type AccountRead,
  type AccountsRead,
  type BalanceRead,
  type CostsRead,
  type EntriesRead,
  type ExplanationRead,
  type InvoiceRead,
  type InvoicesRead,
  type OutcomeRead,
  type OutcomesRead,
  type SharedIdentitiesRead,
  type TotalsRead,
  type UsageRead,
} from "@rerate/wire";
import { renderPage } from "./page.ts";

export interface BooksDeps {
  readonly reader: Reader;
  /** For "the plan in force now"; no amount depends on it. */
  readonly now: () => Instant;
}

export function routes(deps: BooksDeps): RoutePlugin {
  return {
    name: "books",
    routes: [...accountRoutes(deps), ...entryRoutes(deps), ...moneyRoutes(deps), ...outcomeRoutes(deps), ...systemRoutes(deps)],
  };
}

function accountRoutes({ reader, now }: BooksDeps): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/accounts",
      roles: READERS,
      tag: "accounts",
      summary: "List accounts",
      query: accountsQuery,
      replies: { 200: accountsSchema },
      handle: ({ caller, query }) => ok(page(() => listAccounts(reader, caller.ns, query, now())) satisfies AccountsRead),
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account",
      roles: ACCOUNT_READERS,
      tag: "accounts",
      summary: "Read an account with its contract and the rules that settlement bound",
      params: accountParams,
      replies: { 200: accountSchema },
      handle: ({ caller, params }) =>
        okAccount(readAccount(reader, idOf(caller, params), now()) satisfies AccountRead | undefined),
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/balance",
      roles: ACCOUNT_READERS,
      tag: "accounts",
      summary: "Read an account's balance and the grants of its wallet",
      params: accountParams,
      replies: { 200: balanceSchema },
      handle: ({ caller, params }) => okAccount(readBalance(reader, idOf(caller, params)) satisfies BalanceRead | undefined),
    }),
  ];
}

function entryRoutes({ reader }: BooksDeps): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/accounts/:account/entries",
      roles: ACCOUNT_READERS,
      tag: "entries",
      summary: "List ledger entries",
      description: "`period` is the period whose invoice carries the entry.",
      params: accountParams,
      query: entriesQuery,
      replies: { 200: entriesSchema },
      handle: async ({ caller, params, query }) =>
        okAccount((await pageLater(() => listEntries(reader, idOf(caller, params), query))) satisfies EntriesRead | undefined),
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/entries/:n/explanation",
      roles: ACCOUNT_READERS,
      tag: "entries",
      summary: "Explain an entry as arithmetic",
      params: entryParams,
      replies: { 200: explanationSchema },
      handle: async ({ caller, params }) => {
        const explained = await explainEntry(reader, idOf(caller, params), params.n);
        if (explained === undefined) throw notFound("the entry");
        return ok(explained satisfies ExplanationRead);
      },
    }),
  ];
}

function moneyRoutes({ reader }: BooksDeps): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/accounts/:account/invoices",
      roles: ACCOUNT_READERS,
      tag: "invoices",
      summary: "List an account's invoices",
      params: accountParams,
      replies: { 200: invoicesSchema },
      handle: ({ caller, params }) => okAccount(listInvoices(reader, idOf(caller, params)) satisfies InvoicesRead | undefined),
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/invoices/:period",
      roles: ACCOUNT_READERS,
      tag: "invoices",
      summary: "Read an invoice",
      description: "Lines show rounded amounts; the rounding line makes their sum the rounded exact total.",
      params: invoiceParams,
      replies: { 200: invoiceSchema },
      handle: ({ caller, params }) => {
        const invoice = readInvoice(reader, idOf(caller, params), params.period);
        if (invoice === undefined) throw notFound("the invoice");
        return ok(invoice satisfies InvoiceRead);
      },
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/usage",
      roles: ACCOUNT_READERS,
      tag: "usage",
      summary: "Break usage down",
      description:
        "Usage is kept by the hour (UTC): `from` and `to` are whole hours. Costs are left out for `read-account` keys.",
      params: accountParams,
      query: usageQuery,
      replies: { 200: usageSchema },
      handle: ({ caller, params, query: { by, from, to } }) => {
        const filter = { by, from: wholeHour("from", from), to: wholeHour("to", to) };
        const usage = readUsage(reader, idOf(caller, params), filter);
        if (usage === undefined || seesCosts(caller)) return okAccount(usage satisfies UsageRead | undefined);
        return okAccount({ ...usage, rows: usage.rows.map((row) => ({ ...row, costs: {} })) } satisfies UsageRead | undefined);
      },
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/costs",
      roles: READERS,
      tag: "costs",
      summary: "List costs of goods, as published and as corrected",
      params: accountParams,
      query: costsQuery,
      replies: { 200: costsSchema },
      handle: ({ caller, params, query }) =>
        okAccount(page(() => listCosts(reader, idOf(caller, params), query)) satisfies CostsRead | undefined),
    }),
  ];
}

function outcomeRoutes({ reader }: BooksDeps): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/accounts/:account/outcomes",
      roles: ACCOUNT_READERS,
      tag: "outcomes",
      summary: "List outcomes",
      params: accountParams,
      query: outcomesQuery,
      replies: { 200: outcomesSchema },
      handle: ({ caller, params, query }) =>
        okAccount(page(() => listOutcomes(reader, idOf(caller, params), query)) satisfies OutcomesRead | undefined),
    }),
    route({
      method: "GET",
      path: "/v1/accounts/:account/outcomes/:source/:id",
      roles: ACCOUNT_READERS,
      tag: "outcomes",
      summary: "Read an outcome with its requests, signals, verdicts and entries",
      params: outcomeParams,
      replies: { 200: outcomeSchema },
      handle: async ({ caller, params }) => {
        const outcome = await readOutcome(reader, idOf(caller, params), params.source, params.id);
        if (outcome === undefined) throw notFound("the outcome");
        return ok(outcome satisfies OutcomeRead);
      },
    }),
  ];
}

function systemRoutes({ reader, now }: BooksDeps): Route[] {
  const shared = createSharedIdentities(reader);
  return [
    route({
      method: "GET",
      path: "/v1/totals",
      roles: READERS,
      tag: "system",
      summary: "Read the totals of the namespace and its largest accounts",
      query: totalsQuery,
      replies: { 200: totalsSchema },
      handle: ({ caller, query }) => ok(readTotals(reader, caller.ns, query) satisfies TotalsRead),
    }),
    route({
      method: "GET",
      path: "/v1/audit/shared-identities",
      roles: AUDITORS,
      tag: "audit",
      summary: "List identities that facts of several accounts bear",
      description: "Each is a fact of its own and billed. The first call reads every recorded fact; later ones what came since.",
      query: sharedIdentitiesQuery,
      replies: { 200: sharedIdentitiesSchema },
      handle: async ({ caller, query }) =>
        ok((await pageLater(() => shared.list(caller.ns, query))) satisfies SharedIdentitiesRead),
    }),
    route({
      method: "GET",
      path: "/",
      roles: READERS,
      tag: "page",
      summary: "The page for people",
      query: pageQuery,
      replies: { 200: pageSchema },
      handle: async ({ caller, query }): Promise<RouteReply> => {
        const rendered = await renderPage(reader, caller.ns, query, now());
        if (rendered === undefined) throw notFound("the account");
        const { html, contentSecurityPolicy } = rendered;
        return {
          status: 200,
          body: html,
          contentType: "text/html; charset=utf-8",
          headers: {
            "content-security-policy": contentSecurityPolicy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
          },
        };
      },
    }),
  ];
}

function idOf({ ns }: Caller, { account }: { readonly account: string }): AccountId {
  return { ns, account };
}

/** The answer about an account; unknown and foreign ones are not told apart. */
function okAccount(body: object | undefined): RouteReply {
  if (body === undefined) throw notFound("the account");
  return ok(body);
}

/** What something cost us is no business of a customer's key. */
function seesCosts({ role }: Caller): boolean {
  return role !== "read-account";
}

/** Usage is kept by the hour, so a range that cuts one would be answered wrongly. */
function wholeHour(parameter: "from" | "to", text: string | undefined): Instant | undefined {
  if (text === undefined) return undefined;
  const instant = parseInstant(text);
  if (instant?.endsWith(":00:00.000000000Z") === true) return instant;
  throw invalid([{ parameter, detail: "must be a whole hour: usage is kept by the hour" }]);
}

function page<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw badCursor(error);
  }
}

async function pageLater<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    throw badCursor(error);
  }
}

function badCursor(error: unknown): unknown {
  return error instanceof CursorError ? invalid([{ parameter: "cursor", detail: error.message }]) : error;
}
