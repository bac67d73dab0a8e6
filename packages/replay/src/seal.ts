/**
 * Reads what the writers sealed into an event's metadata: when it was recorded and the link of the hash chain.
 *
 * An auditor's own reading of the stored form `{"at":…,"prev":…}`; it shares no code with the writers on purpose.
 */
import { chainHash, type StoredEvent } from "@rerate/event-store";
import type { Instant } from "@rerate/money";

export interface Seal {
  readonly recordedAt: Instant;
  readonly previous: string;
}

/** Undefined for metadata that is no seal. */
export function parseSeal(metadata: string): Seal | undefined {
  const match = SEAL.exec(metadata);
  return match === null ? undefined : { recordedAt: match[1] as Instant, previous: match[2] ?? "" };
}

/** When an event was recorded. Throws for metadata that is no seal; the chain check names the place first. */
export function recordedAtOf(stored: StoredEvent): Instant {
  const seal = parseSeal(stored.metadata);
  if (seal === undefined) throw new Error(`the metadata of ${stored.stream} revision ${stored.revision} is no seal`);
  return seal.recordedAt;
}

/** The link that the next event of the stream must carry. */
export function linkOf(stored: StoredEvent): string {
  return chainHash(stored.stream, stored.revision, stored.type, stored.data, stored.metadata);
}

const SEAL = /^\{"at":"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z)","prev":"([A-Za-z0-9_-]{43})"\}$/;
