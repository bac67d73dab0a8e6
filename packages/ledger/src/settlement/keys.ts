/**
 * The keys under which facts of an account are found again. Length prefixes keep parts apart; ids stay raw, so that ids
 * that come in order stay ordered in the index.
 */
import type { Identity } from "../messages.ts";

/** Text of an identity, unique and order-preserving within one source. */
export function identityKey(identity: Identity): string {
  return `${identity.source.length}:${identity.source}:${identity.id}`;
}

/** The fact itself: usage, correction or cost. Its tag is the content hash. */
export function factKey(identity: Identity): string {
  return `u${identityKey(identity)}`;
}

/** The last event of a story (an outcome, or a cost with its corrections) that has more than its first event. */
export function headKey(identity: Identity): string {
  return `h${identityKey(identity)}`;
}

/** A parked content of an identity, noted in the stream. Its tag is the reason. */
export function parkedKey(identity: Identity, contentHash: string): string {
  return `p${identityKey(identity)}:${tagOf(contentHash)}`;
}

/** One revision of a fact has one content: the key that tells. */
export function revisionKey(corrects: Identity, revision: number): string {
  return `r${revision}:${identityKey(corrects)}`;
}

/** An import command. */
export function importKey(identity: Identity, phase: string): string {
  return `i${phase}:${identityKey(identity)}`;
}

/** 132 bits of a content hash: what the index keeps to tell a duplicate from a conflict without reading the log. */
export function tagOf(contentHash: string): string {
  return contentHash.slice(0, 24);
}
