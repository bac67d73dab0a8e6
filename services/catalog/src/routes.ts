/**
 * Accounts, plan assignments, documents and API keys over HTTP.
 *
 * Catalog appends directly: when a request is answered, what it asked for is in the log. Decides nothing here: documents are
 * checked by their schemas, everything else by the deciders behind `record`. Prices no fact.
 */
import {
  conflict,
  HttpProblem,
  invalid,
  newKey,
  notFound,
  ok,
  OPERATORS,
  READERS,
  route,
  type Route,
  type RoutePlugin,
  type RouteReply,
} from "@rerate/http";
import { FROM_THE_BEGINNING, streamName, type Answer, type Catalogue, type DocumentVersion } from "@rerate/ledger";
import { fromMilliseconds, parseInstant, type Instant } from "@rerate/money";
import {
  accountParams,
  assignPlanSchema,
  createdKeySchema,
  createKeySchema,
  documentCheckSchema,
  documentParams,
  documentSchema,
  documentsQuery,
  documentsSchema,
  documentTextSchema,
  keyParams,
  keysSchema,
  openAccountSchema,
  publishedSchema,
  publishQuery,
  recordedSchema,
} from "@rerate/wire";
import { checkDocument, type CheckedDocument } from "./check-document.ts";
import type { CatalogCommand, Record } from "./commands.ts";
import type { KeyRing } from "@rerate/process";

export interface CatalogDeps {
  readonly record: Record;
  /** Views of the log that this process keeps. */
  readonly catalogue: Pick<Catalogue, "contract" | "documents">;
  readonly keys: Pick<KeyRing, "list">;
  /** Resolves when the views have seen everything that was recorded before the call. */
  readonly caughtUp: () => Promise<void>;
  readonly nowMs: () => number;
  /** How far ahead a version or assignment without a date of its own takes effect when it replaces another. */
  readonly leadTimeMs: number;
  /** Cryptographically random. */
  readonly randomBytes: (count: number) => Uint8Array;
}

export function routes(deps: CatalogDeps): RoutePlugin {
  return { name: "catalog", routes: [...accountRoutes(deps), ...documentRoutes(deps), ...keyRoutes(deps)] };
}

function accountRoutes(deps: CatalogDeps): Route[] {
  const open = route({
    method: "POST",
    path: "/v1/accounts",
    roles: OPERATORS,
    tag: "accounts",
    summary: "Open an account",
    description: "Opening it again with the same terms has no effect; with other terms it is a conflict.",
    body: openAccountSchema,
    replies: { 200: recordedSchema, 201: recordedSchema },
    handle: async ({ body, caller }) => {
      const { account, currency, timeZone = "UTC", wallet = account } = body;
      const answer = await recordFor(deps, streamName("contract", caller.ns, account), {
        type: "AccountOpened",
        data: { account, timeZone, currency, wallet },
      });
      return recorded(answer);
    },
  });
  const assign = route({
    method: "PUT",
    path: "/v1/accounts/:account/plan",
    roles: OPERATORS,
    tag: "accounts",
    summary: "Put an account on a plan",
    description:
      "Facts that occurred from `from` on are priced by the plan. Replaces what was planned for that time and after it.",
    params: accountParams,
    body: assignPlanSchema,
    replies: { 200: recordedSchema, 201: recordedSchema },
    handle: async ({ params, body, caller }) => {
      await deps.caughtUp();
      const contract = deps.catalogue.contract(caller.ns, params.account);
      if (contract === undefined) throw notFound("the account");
      requireKnownPlan(deps, caller.ns, body.planId, body.planHash);
      const { planId, planHash } = body;
      const isFirst = contract.assignments.length === 0;
      const answer = await recordFor(deps, streamName("contract", caller.ns, params.account), {
        type: "PlanAssigned",
        data: { planId, ...(planHash === undefined ? {} : { planHash }), from: startOf(body.from, isFirst, deps) },
      });
      return recorded(answer);
    },
  });
  return [open, assign];
}

function requireKnownPlan(deps: CatalogDeps, ns: string, planId: string, planHash: string | undefined): void {
  const versions = deps.catalogue.documents(ns).filter(({ published }) => published.kind === "plan" && published.id === planId);
  if (versions.length === 0) throw invalid([{ pointer: "/planId", detail: "no plan of that id has been published" }]);
  if (planHash !== undefined && versions.every(({ published }) => published.hash !== planHash)) {
    throw invalid([{ pointer: "/planHash", detail: "the plan has no such version" }]);
  }
}

const TEXT_TYPES = ["application/yaml", "application/json", "application/x-yaml", "text/yaml", "text/plain"];

function documentRoutes(deps: CatalogDeps): Route[] {
  const publish = route({
    method: "POST",
    path: "/v1/documents",
    roles: OPERATORS,
    tag: "documents",
    summary: "Publish a plan, price list or outcome definition",
    description:
      "An immutable version, named by the hash of its content. A version that is there already is not published again.",
    query: publishQuery,
    body: documentTextSchema,
    textBody: true,
    consumes: TEXT_TYPES,
    replies: { 200: publishedSchema, 201: publishedSchema },
    handle: async ({ query, body, caller }) => {
      const checked = valid(checkDocument(body));
      const { kind, id, hash, document } = checked;
      await deps.caughtUp();
      const versions = deps.catalogue
        .documents(caller.ns)
        .filter(({ published }) => published.kind === kind && published.id === id);
      const same = versions.find(({ published }) => published.hash === hash)?.published.effectiveFrom;
      const effectiveFrom =
        query.effectiveFrom === undefined && same !== undefined
          ? same
          : startOf(query.effectiveFrom, versions.length === 0, deps);
      const stream = streamName("document", caller.ns, `${kind}:${id}`);
      const answer = await recordFor(deps, stream, {
        type: "DocumentPublished",
        data: { kind, id, hash, effectiveFrom, document },
      });
      if (answer.status !== "duplicate") return { status: 201, body: { status: "published", kind, id, hash, effectiveFrom } };
      const known = versionOf(deps, caller.ns, hash)?.published.effectiveFrom ?? effectiveFrom;
      return ok({ status: "unchanged", kind, id, hash, effectiveFrom: known });
    },
  });
  const validate = route({
    method: "POST",
    path: "/v1/documents/validate",
    roles: READERS,
    tag: "documents",
    summary: "Check a document without publishing it",
    description: "Lists every problem with its line and column.",
    body: documentTextSchema,
    textBody: true,
    consumes: TEXT_TYPES,
    replies: { 200: documentCheckSchema },
    handle: ({ body }) => {
      const checked = checkDocument(body);
      if (!checked.ok) return ok({ valid: false, problems: checked.problems });
      const { kind, id, hash } = checked;
      return ok({ valid: true, kind, id, hash, problems: [] });
    },
  });
  const list = route({
    method: "GET",
    path: "/v1/documents",
    roles: READERS,
    tag: "documents",
    summary: "List document versions",
    query: documentsQuery,
    replies: { 200: documentsSchema },
    handle: ({ query, caller }) => {
      const versions = deps.catalogue
        .documents(caller.ns)
        .filter(
          ({ published }) => (query.kind ?? published.kind) === published.kind && (query.id ?? published.id) === published.id,
        );
      return ok({ documents: versions.map(summaryOf) });
    },
  });
  const show = route({
    method: "GET",
    path: "/v1/documents/:hash",
    roles: READERS,
    tag: "documents",
    summary: "Show one document version",
    params: documentParams,
    replies: { 200: documentSchema },
    handle: ({ params, caller }) => {
      const version = versionOf(deps, caller.ns, params.hash);
      if (version === undefined) throw notFound("the document");
      return ok({ ...summaryOf(version), document: version.published.document });
    },
  });
  return [publish, validate, list, show];
}

/** A document version of the caller's own namespace; another's is unknown. */
function versionOf(deps: CatalogDeps, ns: string, hash: string): DocumentVersion | undefined {
  return deps.catalogue.documents(ns).find(({ published }) => published.hash === hash);
}

function summaryOf({ published, publishedAt }: DocumentVersion): object {
  const { kind, id, hash, effectiveFrom } = published;
  return { kind, id, hash, effectiveFrom, recordedAt: publishedAt };
}

function valid(checked: CheckedDocument): Extract<CheckedDocument, { readonly ok: true }> {
  if (checked.ok) return checked;
  const errors = checked.problems.map(({ path, line, column, message }) => ({
    detail: `line ${line}, column ${column}: ${path === "" ? "" : `${path}: `}${message}`,
  }));
  throw invalid(errors, { problems: checked.problems });
}

function keyRoutes(deps: CatalogDeps): Route[] {
  const create = route({
    method: "POST",
    path: "/v1/keys",
    roles: OPERATORS,
    tag: "keys",
    summary: "Create an API key",
    description:
      "For the caller's own namespace; on a server without keys, where everybody may do everything, for any. " +
      "The answer shows the key this once; only a hash of it is kept.",
    body: createKeySchema,
    replies: { 201: createdKeySchema },
    handle: async ({ body, caller }) => {
      const { id, token, secretHash } = newKey(deps.randomBytes);
      const { role, account, label, namespace: ns = caller.ns } = body;
      // A key must not open other books than those it was made with.
      if (ns !== caller.ns && caller.role !== "local")
        throw new HttpProblem("forbidden", "a key makes keys for its own namespace only");
      const data = { id, secretHash, ns, role, ...(account === undefined ? {} : { account }), label };
      await recordFor(deps, streamName("key", ns, id), { type: "KeyCreated", data });
      return { status: 201, body: { id, key: token, role } };
    },
  });
  const list = route({
    method: "GET",
    path: "/v1/keys",
    roles: OPERATORS,
    tag: "keys",
    summary: "List API keys",
    replies: { 200: keysSchema },
    handle: ({ caller }) => {
      const keys = deps.keys.list(caller.ns).map(({ id, role, account, label, revoked, createdAt }) => {
        return { id, role, ...(account === undefined ? {} : { account }), label, revoked, createdAt };
      });
      return ok({ keys });
    },
  });
  const revoke = route({
    method: "DELETE",
    path: "/v1/keys/:id",
    roles: OPERATORS,
    tag: "keys",
    summary: "Revoke an API key",
    description: "Takes effect at once in this process, and in others as soon as they have read the log.",
    params: keyParams,
    replies: { 200: recordedSchema },
    handle: async ({ params, caller }) => {
      if (deps.keys.list(caller.ns).every(({ id }) => id !== params.id)) throw notFound("the key");
      const answer = await recordFor(deps, streamName("key", caller.ns, params.id), {
        type: "KeyRevoked",
        data: { id: params.id },
      });
      return { ...recorded(answer), status: 200 };
    },
  });
  return [create, list, revoke];
}

/** Records and waits until this process's own views show it. Throws for a "no". */
async function recordFor(deps: CatalogDeps, stream: string, command: CatalogCommand): Promise<Answer> {
  const answer = await deps.record(stream, command);
  if (answer.status === "conflict") throw conflict(answer.detail ?? "it exists already with other content");
  // A command that cannot be recorded is kept nowhere: its sender hears why and mends it.
  if (answer.status === "parked") throw invalid([{ detail: answer.detail ?? "it cannot be recorded" }]);
  await deps.caughtUp();
  return answer;
}

function recorded({ status, revision }: Answer): RouteReply {
  return { status: status === "recorded" ? 201 : 200, body: { status, ...(revision === undefined ? {} : { revision }) } };
}

/**
 * When something takes effect: as asked; else from the beginning for the first of its kind, and a lead time ahead for what
 * replaces another, so that every view has read it before a fact falls under it.
 */
function startOf(asked: string | undefined, isFirst: boolean, deps: CatalogDeps): Instant {
  const given = asked === undefined ? undefined : parseInstant(asked);
  if (given !== undefined) return given;
  return isFirst ? FROM_THE_BEGINNING : fromMilliseconds(deps.nowMs() + deps.leadTimeMs);
}
