/**
 * One pass over the whole log: the hash chain of every stream, and which streams there are.
 *
 * Holds one small record per stream, whatever the length of the log. Documents and contracts are folded on the way, since all
 * later checks name documents by hash.
 */
import { FIRST_LINK, type EventStore, type Position, type StoredEvent } from "@rerate/event-store";
import { hash } from "node:crypto";
import {
  createCatalogue,
  decodeEvent,
  documentHash,
  parseStreamName,
  type Catalogue,
  type Category,
  type DocumentPublished,
} from "@rerate/ledger";
import type { Problem } from "./problem.ts";
import { linkOf, parseSeal } from "./seal.ts";

export interface StreamHead {
  readonly revision: number;
  readonly link: string;
  readonly recordedAt: string;
}

export interface LogScan {
  /** Heads by stream name, in the order in which the streams begin. */
  readonly streams: ReadonlyMap<string, StreamHead>;
  readonly events: number;
  readonly catalogue: Catalogue;
  /** SHA-256 (hex) over all heads in the order of their names: names this very log, as long as its chains are whole. */
  readonly head: string;
}

export interface ScanOptions {
  readonly eventStore: Pick<EventStore, "readAll">;
  readonly onProblem: (problem: Problem) => void;
  readonly onProgress?: ((events: number) => void) | undefined;
}

const PAGE = 2_000;

export async function scanLog({ eventStore, onProblem, onProgress }: ScanOptions): Promise<LogScan> {
  const streams = new Map<string, MutableHead>();
  const catalogue = createCatalogue();
  let events = 0;
  let after: Position | undefined;
  for (let end = false; !end;) {
    const page = await eventStore.readAll({ after, maxCount: PAGE });
    for (const stored of page.events) {
      checkLink(streams, stored, onProblem);
      foldDocument(catalogue, stored, onProblem);
    }
    events += page.events.length;
    onProgress?.(events);
    after = page.next ?? after;
    ({ end } = page);
  }
  return { streams, events, catalogue, head: combinedHead(streams) };
}

/** SHA-256 (hex) over the heads of all streams, by name. */
export function combinedHead(streams: ReadonlyMap<string, StreamHead>): string {
  const lines = [...streams].map(([stream, { revision, link }]) => `${stream} ${revision} ${link}`).sort();
  return hash("sha256", lines.join("\n"), "hex");
}

interface MutableHead {
  revision: number;
  link: string;
  recordedAt: string;
}

function checkLink(streams: Map<string, MutableHead>, stored: StoredEvent, onProblem: (problem: Problem) => void): void {
  const { stream, revision } = stored;
  const head = streams.get(stream) ?? { revision: -1, link: FIRST_LINK, recordedAt: "" };
  if (head.revision === -1) streams.set(stream, head);
  const broken = (message: string, fields: Partial<Problem> = {}): void =>
    onProblem({ kind: "chain", stream, revision, message, ...fields });

  if (revision !== head.revision + 1) {
    broken(`revision ${head.revision + 1} is missing: an event was removed or moved`, {
      recorded: String(revision),
      recomputed: String(head.revision + 1),
    });
  }
  const seal = parseSeal(stored.metadata);
  if (seal === undefined) broken("the metadata is no seal", { field: "metadata", recorded: stored.metadata });
  else {
    if (seal.previous !== head.link) {
      const changed =
        revision === 0
          ? "its first link is not zeros"
          : `revision ${revision - 1} is not what it was when this event was recorded`;
      broken(changed, { field: "metadata.prev", recorded: seal.previous, recomputed: head.link });
    }
    if (seal.recordedAt < head.recordedAt) {
      broken("its time of recording lies before the event ahead of it", {
        field: "metadata.at",
        recorded: seal.recordedAt,
        recomputed: `not before ${head.recordedAt}`,
      });
    }
    head.recordedAt = seal.recordedAt;
  }
  head.revision = revision;
  head.link = linkOf(stored);
}

const CATALOGUED = /^(document|contract)-/;

function foldDocument(catalogue: Catalogue, stored: StoredEvent, onProblem: (problem: Problem) => void): void {
  const category = CATALOGUED.exec(stored.stream)?.[1];
  if (category !== "document" && category !== "contract") return;
  try {
    const event = decodeEvent(category, { stream: stored.stream, type: stored.type, data: stored.data });
    const seal = parseSeal(stored.metadata);
    if (event.type === "DocumentPublished") checkHash(event.data, stored, onProblem);
    if (seal !== undefined) catalogue.apply(stored.stream, stored.revision, seal.recordedAt, event);
  } catch (error) {
    onProblem({ kind: "unreadable", stream: stored.stream, revision: stored.revision, message: String(error) });
  }
}

/** A document is named by its content; another content under the name would reprice everything that cites it. */
function checkHash(published: DocumentPublished, { stream, revision }: StoredEvent, onProblem: (problem: Problem) => void): void {
  const recomputed = documentHash(published.document);
  if (recomputed === published.hash) return;
  const message = `the content of ${published.kind} ${published.id} is not what its hash names`;
  onProblem({ kind: "decision", stream, revision, field: "hash", recorded: published.hash, recomputed, message });
}

/** The streams of a category in the order in which they begin. */
export function streamsOf(scan: LogScan, category: Category): string[] {
  return [...scan.streams.keys()].filter((stream) => isOf(stream, category));
}

function isOf(stream: string, category: Category): boolean {
  return stream.startsWith(`${category}-`) && parseStreamName(stream).category === category;
}
