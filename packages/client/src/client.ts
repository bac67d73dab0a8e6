/**
 * The typed HTTP client of everything that the server offers. Owns paths and parameters; the shapes are those of `wire`.
 */
import type {
  AccountRead,
  AccountsRead,
  AssignPlanBody,
  BalanceRead,
  CostBody,
  CostsRead,
  CreatedKeyRead,
  CreateKeyBody,
  DocumentCheckRead,
  DocumentRead,
  DocumentsRead,
  EntriesRead,
  ExplanationRead,
  GrantBody,
  ImportBody,
  InvoiceRead,
  InvoicesRead,
  KeysRead,
  OpenAccountBody,
  OutcomeRead,
  OutcomesRead,
  ParkedListRead,
  ParkedRead,
  ParkedRetryRead,
  PublishedRead,
  ReceiptRead,
  ReconciliationRead,
  RecordedRead,
  SharedIdentitiesRead,
  SignalBody,
  StatusRead,
  TotalsRead,
  UsageEventBody,
  UsageRead,
} from "@rerate/wire";
import { createTransport, type Call, type ClientOptions } from "./transport.ts";

/** How a door should answer. */
export interface SendOptions {
  /** Wait so long for what was decided about each fact. */
  readonly waitSeconds?: number;
  /** Accept the good facts of a batch even when others are malformed. */
  readonly partial?: boolean;
}

export interface PageOptions {
  readonly cursor?: string;
  readonly limit?: number;
}

export interface EntriesOptions extends PageOptions {
  readonly period?: string;
  readonly item?: string;
  readonly order?: "oldest" | "newest";
}

export interface RerateClient {
  sendUsage(events: UsageEventBody | readonly UsageEventBody[], options?: SendOptions): Promise<ReceiptRead>;
  sendCorrections(events: UsageEventBody | readonly UsageEventBody[], options?: SendOptions): Promise<ReceiptRead>;
  sendCosts(costs: CostBody | readonly CostBody[], options?: SendOptions): Promise<ReceiptRead>;
  sendSignals(signals: SignalBody | readonly SignalBody[], options?: SendOptions): Promise<ReceiptRead>;
  sendImport(command: ImportBody): Promise<ReceiptRead>;

  openAccount(body: OpenAccountBody): Promise<RecordedRead>;
  assignPlan(account: string, body: AssignPlanBody): Promise<RecordedRead>;
  accounts(options?: PageOptions): Promise<AccountsRead>;
  account(account: string): Promise<AccountRead>;
  balance(account: string): Promise<BalanceRead>;
  entries(account: string, options?: EntriesOptions): Promise<EntriesRead>;
  /** Every entry of an account, page by page. */
  allEntries(account: string, options?: Omit<EntriesOptions, "cursor">): AsyncGenerator<EntriesRead["entries"][number]>;
  explain(account: string, entry: number): Promise<ExplanationRead>;
  invoices(account: string): Promise<InvoicesRead>;
  invoice(account: string, period: string): Promise<InvoiceRead>;
  usage(account: string, options?: { readonly by?: string; readonly from?: string; readonly to?: string }): Promise<UsageRead>;
  /** What things cost the seller, as published and as corrected. */
  costs(account: string, options?: PageOptions): Promise<CostsRead>;
  outcomes(
    account: string,
    options?: PageOptions & { readonly verdict?: "success" | "partial" | "failure" | "pending" },
  ): Promise<OutcomesRead>;
  outcome(account: string, source: string, id: string): Promise<OutcomeRead>;

  grant(wallet: string, body: GrantBody, options?: Pick<SendOptions, "waitSeconds">): Promise<ReceiptRead>;
  voidGrant(wallet: string, grant: string, options?: Pick<SendOptions, "waitSeconds">): Promise<ReceiptRead>;

  /** Publishes a YAML or JSON text. */
  publishDocument(text: string, options?: { readonly effectiveFrom?: string }): Promise<PublishedRead>;
  validateDocument(text: string): Promise<DocumentCheckRead>;
  documents(options?: {
    readonly kind?: "plan" | "price-list" | "outcome-definition";
    readonly id?: string;
  }): Promise<DocumentsRead>;
  document(hash: string): Promise<DocumentRead>;

  createKey(body: CreateKeyBody): Promise<CreatedKeyRead>;
  keys(): Promise<KeysRead>;
  revokeKey(id: string): Promise<RecordedRead>;

  totals(options?: { readonly limit?: number }): Promise<TotalsRead>;
  parked(options?: {
    readonly account?: string;
    readonly reason?: string;
    readonly service?: string;
    readonly limit?: number;
  }): Promise<ParkedListRead>;
  parkedMessage(id: string): Promise<ParkedRead>;
  retryParked(id: string): Promise<ParkedRetryRead>;
  eraseParked(id: string): Promise<void>;
  sharedIdentities(options?: PageOptions): Promise<SharedIdentitiesRead>;
  status(): Promise<StatusRead>;
  /** Reads whole topics and the whole log: takes its time. */
  reconciliation(): Promise<ReconciliationRead>;
}

/** A client of one server. Methods reject with `RefusedError` (the server's problem) or `UnreachableError`. */
export function createClient(options: ClientOptions): RerateClient {
  const transport = createTransport(options);
  // The server checks its answers against the same schemas in its tests; here they are taken at their word.
  const ask = async <Answer>(call: Call): Promise<Answer> => (await transport(call)) as Answer;
  const get = <Answer>(path: string, query?: Call["query"]) => ask<Answer>({ method: "GET", path, query });
  const post = <Answer>(path: string, body?: unknown, more: Partial<Call> = {}) =>
    ask<Answer>({ method: "POST", path, body, ...more });
  const door =
    (path: string) =>
    (facts: unknown, send: SendOptions = {}) =>
      post<ReceiptRead>(path, facts, {
        waitSeconds: send.waitSeconds,
        query: { partial: send.partial === true ? "true" : undefined },
      });

  const client: RerateClient = {
    sendUsage: door("/api/v1/events"),
    sendCorrections: door("/v1/corrections"),
    sendCosts: door("/v1/costs"),
    sendSignals: door("/v1/signals"),
    sendImport: (command) => post("/v1/imports", command),

    openAccount: (body) => post("/v1/accounts", body),
    assignPlan: (account, body) => ask({ method: "PUT", path: `${of(account)}/plan`, body }),
    accounts: (page = {}) => get("/v1/accounts", { ...page }),
    account: (account) => get(of(account)),
    balance: (account) => get(`${of(account)}/balance`),
    entries: (account, page = {}) => get(`${of(account)}/entries`, { ...page }),
    async *allEntries(account, page = {}) {
      let cursor: string | undefined;
      do {
        const { entries, next } = await client.entries(account, { ...page, ...(cursor === undefined ? {} : { cursor }) });
        yield* entries;
        cursor = next;
      } while (cursor !== undefined);
    },
    explain: (account, entry) => get(`${of(account)}/entries/${entry}/explanation`),
    invoices: (account) => get(`${of(account)}/invoices`),
    invoice: (account, period) => get(`${of(account)}/invoices/${encodeURIComponent(period)}`),
    usage: (account, query = {}) => get(`${of(account)}/usage`, { ...query }),
    costs: (account, page = {}) => get(`${of(account)}/costs`, { ...page }),
    outcomes: (account, query = {}) => get(`${of(account)}/outcomes`, { ...query }),
    outcome: (account, source, id) => get(`${of(account)}/outcomes/${encodeURIComponent(source)}/${encodeURIComponent(id)}`),

    grant: (wallet, body, send = {}) =>
      post(`/v1/wallets/${encodeURIComponent(wallet)}/grants`, body, { waitSeconds: send.waitSeconds }),
    voidGrant: (wallet, grant, send = {}) =>
      post(`/v1/wallets/${encodeURIComponent(wallet)}/grants/${encodeURIComponent(grant)}/void`, undefined, {
        waitSeconds: send.waitSeconds,
      }),

    publishDocument: (text, query = {}) => post("/v1/documents", text, { contentType: "application/yaml", query: { ...query } }),
    validateDocument: (text) => post("/v1/documents/validate", text, { contentType: "application/yaml" }),
    documents: (query = {}) => get("/v1/documents", { ...query }),
    document: (hash) => get(`/v1/documents/${encodeURIComponent(hash)}`),

    createKey: (body) => post("/v1/keys", body),
    keys: () => get("/v1/keys"),
    revokeKey: (id) => ask({ method: "DELETE", path: `/v1/keys/${encodeURIComponent(id)}` }),

    totals: (query = {}) => get("/v1/totals", { ...query }),
    parked: (query = {}) => get("/v1/parked", { ...query }),
    parkedMessage: (id) => get(`/v1/parked/${encodeURIComponent(id)}`),
    retryParked: (id) => post(`/v1/parked/${encodeURIComponent(id)}/retry`),
    eraseParked: (id) => ask({ method: "DELETE", path: `/v1/parked/${encodeURIComponent(id)}` }),
    sharedIdentities: (page = {}) => get("/v1/audit/shared-identities", { ...page }),
    status: () => get("/v1/status"),
    reconciliation: () => get("/v1/reconciliation"),
  };
  return client;
}

function of(account: string): string {
  return `/v1/accounts/${encodeURIComponent(account)}`;
}
