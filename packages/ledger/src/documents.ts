/**
 * The document decider: versions of one plan, price list or outcome definition, each published once and never changed.
 *
 * Owns `document-…` streams, one per document (`{kind}:{id}`). Reads no document: catalog has validated it and computed its hash, which
 * is the version's identity. Versions live side by side for ever.
 */
import type { Instant } from "@rerate/money";
import type { DocumentEvent, DocumentKind } from "./contract-events.ts";
import { SKIP_NEEDS, type Decider, type Decision } from "./decider.ts";

export interface PublishDocument {
  readonly kind: "publish-document";
  readonly documentKind: DocumentKind;
  readonly id: string;
  /** Content hash of the canonical document. */
  readonly hash: string;
  readonly effectiveFrom: Instant;
  readonly document: unknown;
}

export interface DocumentFold {
  readonly stream: string;
  /** Hash → when the version takes effect. */
  readonly versions: Map<string, Instant>;
}

export const documents: Decider<DocumentFold, PublishDocument, DocumentEvent, undefined> = {
  name: "document",
  initial: (stream) => ({ stream, versions: new Map() }),
  evolve: (state, { data }) => {
    state.versions.set(data.hash, data.effectiveFrom);
    return state;
  },
  needs: () => SKIP_NEEDS,
  decide: publish,
  keysOf: () => [],
  linkOf: () => undefined,
  deadlines: () => [],
  snapshot: ({ stream, versions }) => JSON.stringify({ stream, versions: [...versions] }),
  revive: (text) => {
    const form = JSON.parse(text) as { readonly stream: string; readonly versions: readonly [string, Instant][] };
    return { stream: form.stream, versions: new Map(form.versions) };
  },
};

/** The name part of a document's stream. */
export function documentName(kind: DocumentKind, id: string): string {
  return `${kind}:${id}`;
}

/** The same content again is a duplicate; with another date it is refused, because one hash names one version with one date. */
function publish(state: DocumentFold, command: PublishDocument): Decision<DocumentEvent> {
  const { documentKind: kind, id, hash, effectiveFrom, document: content } = command;
  const known = state.versions.get(hash);
  if (known === effectiveFrom) return { kind: "skip", answer: { status: "duplicate" } };
  if (known !== undefined) {
    const detail = `${kind} "${id}" is published with this content from ${known}; a version cannot take effect twice`;
    return { kind: "park", reason: "conflict", detail, events: [], answer: { status: "conflict", detail } };
  }
  const data = { kind, id, hash, effectiveFrom, document: content };
  return { kind: "record", events: [{ type: "DocumentPublished", data }], answer: { status: "recorded" } };
}
