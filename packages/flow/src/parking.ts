/**
 * Parking: the bytes of what can't be recorded are kept with a reason before the offset moves, until somebody retries or
 * erases them.
 *
 * The invariant: the same message parks under the same id, however often it is delivered.
 */
import { hash } from "node:crypto";
import { type EventStore, FIRST_LINK, NO_STREAM } from "@rerate/event-store";
import type { ParkedRecord, ReceivedMessage } from "@rerate/message-bus";
import { linkAfter, readSeal, sealText } from "./seal.ts";
import type { Intake } from "./stream-work.ts";
import type { Clock, Input, Note, Refusal, WorkerOptions } from "./worker-options.ts";

/** Why a message is held back because its stream is quarantined. */
export const QUARANTINED = "quarantined";

export interface Parking<Message> {
  /** The record of a message that came from a topic. Throws for one that did not. */
  recordOf(intake: Intake<Message>, reason: string, detail: string): ParkedRecord;
  /** Keeps, and notes once, what never became a message: bytes that can't be decoded, bodies that are refused. */
  keepUnread(unread: readonly Unread<Message>[]): Promise<void>;
}

export interface Unread<Message> {
  readonly received: ReceivedMessage;
  readonly input: Input<Message>;
  readonly refusal: Refusal;
}

export function createParking<Message extends object>(
  options: Pick<
    WorkerOptions<unknown, Message, never, unknown>,
    "name" | "bus" | "ownerOf" | "parkedNote" | "clock" | "eventStore"
  >,
): Parking<Message> {
  const { name, bus, ownerOf, clock } = options;
  const notes = createNotes(options.eventStore, clock);

  function newRecord(id: string, topic: string, key: string, bytes: Uint8Array, { park, detail }: Refusal): ParkedRecord {
    const { ns, account } = ownerOf(key);
    return { id, service: name, ns, account, topic, reason: park, detail, parkedAt: clock.now(), key, bytes };
  }

  return {
    recordOf(intake, reason, detail) {
      const { input, key, message } = intake;
      if (input === undefined) throw new Error(`a message that came from no topic can't be parked: ${reason}, ${detail}`);
      const bytes = input.codec.encode(intake.body);
      const id = intake.parkedAs ?? parkedId(input.topic, input.identityOf?.(message) ?? hash("sha256", bytes, "base64url"));
      return newRecord(id, input.topic, key, bytes, { park: reason, detail });
    },
    async keepUnread(unread) {
      for (const { received, input, refusal } of unread) {
        const { content } = received;
        const bytes = content.kind === "poison" ? content.bytes : input.codec.encode(content.body);
        const id = parkedId(input.topic, hash("sha256", bytes, "base64url"));
        if ((await bus.parked.get(id)) !== undefined) continue;
        const unsent = newRecord(id, input.topic, received.key, bytes, refusal);
        const headers = content.kind === "poison" ? content.headers : undefined;
        const record = fitted(headers === undefined ? unsent : { ...unsent, headers });
        // Noted first: a crash in between notes it twice under one id, which a reader can see; the other way round never.
        if (options.parkedNote !== undefined) await notes.append(options.parkedNote(record));
        await bus.parked.put([record]);
      }
    },
  };
}

/** The id that a message of a topic always parks under. */
export function parkedId(topic: string, identity: string): string {
  return hash("sha256", `${topic}\n${identity}`, "base64url");
}

/** What is kept of one message: more than any message that can be read, and less than the place of parked records takes. */
const MOST_BYTES = 12_000_000;
const MOST_TEXT = 2_000;
const MOST_HEADERS = 500_000;

/**
 * A record that can be kept whatever was sent: of what is larger the beginning stays, and the detail says so. Without this a
 * message that unpacks to more than a parked record may hold would come again for ever.
 */
export function fitted(record: ParkedRecord): ParkedRecord {
  const { bytes, key, detail, headers, ...rest } = record;
  const headersSize = headers === undefined ? 0 : JSON.stringify(headers).length;
  const cut = [
    ...(bytes.length > MOST_BYTES ? [`${bytes.length} bytes (SHA-256 ${hash("sha256", bytes, "base64url")})`] : []),
    ...(key.length > MOST_TEXT ? [`a key of ${key.length} characters`] : []),
    ...(headersSize > MOST_HEADERS ? [`headers of ${headersSize} characters`] : []),
  ];
  if (cut.length === 0 && detail.length <= MOST_TEXT) return record;
  const about = detail.slice(0, MOST_TEXT);
  return {
    ...rest,
    bytes: bytes.subarray(0, MOST_BYTES),
    key: key.slice(0, MOST_TEXT),
    detail: cut.length === 0 ? about : `${about}; too large to be kept whole: ${cut.join(", ")}`,
    ...(headers === undefined || headersSize > MOST_HEADERS ? {} : { headers }),
  };
}

const NOTE_ATTEMPTS = 20;

/** Appends to streams that only take notes: anybody may write them, so the end is read anew for every note. */
export function createNotes(eventStore: EventStore, clock: Clock) {
  return {
    async append(note: Note): Promise<void> {
      for (let attempt = 0; attempt < NOTE_ATTEMPTS; attempt++) {
        const last = await eventStore.readLast(note.stream);
        const recordedAt = last === undefined ? "" : readSeal(last.metadata).recordedAt;
        const now = clock.now();
        const metadata = sealText(now > recordedAt ? now : recordedAt, last === undefined ? FIRST_LINK : linkAfter(last));
        const event = { type: note.type, data: JSON.stringify(note.data), metadata, body: note.data };
        const append = { stream: note.stream, expectedRevision: last?.revision ?? NO_STREAM, events: [event] };
        const [result] = await eventStore.append([append]);
        if (result?.kind === "committed") return;
        // Sent again as it is: an append that was written after all is answered as committed.
        if (result?.kind === "unknown" && (await eventStore.append([append]))[0]?.kind === "committed") return;
      }
      throw new Error(`${note.stream} took no note in ${NOTE_ATTEMPTS} attempts`);
    },
  };
}
