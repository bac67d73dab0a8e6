import shared from "@eventstore/db-client/generated/shared_pb.js";
import streams from "@eventstore/db-client/generated/streams_pb.js";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NO_STREAM } from "../port.ts";
import { readBatchAnswer, readReadAnswer, writeBatchAppend } from "./messages.ts";
import { parsePosition, positionText } from "./position.ts";

/** A UUID as the client's stubs hold it. */
function uuid(text: string): shared.UUID {
  const result = new shared.UUID();
  result.setString(text);
  return result;
}

const texts = fc.string({ unit: "grapheme", maxLength: 60 });
const unsigned64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

describe("what is written by hand is what the client's stubs read", () => {
  it("for any append", () => {
    const events = fc.array(fc.record({ type: texts, data: texts, metadata: texts, id: fc.uuid() }), { maxLength: 5 });
    const numbers = fc.integer({ min: 0, max: 2 ** 47 });
    fc.assert(
      fc.property(
        texts,
        fc.integer({ min: NO_STREAM, max: 2 ** 50 }),
        events,
        numbers,
        (stream, expectedRevision, sent, number) => {
          const ids = sent.map(({ id }) => id);
          const bytes = writeBatchAppend(number, { stream, expectedRevision, events: sent }, ids);
          const request = streams.BatchAppendReq.deserializeBinary(bytes);
          const options = request.getOptions();
          expect(Buffer.from(options?.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString()).toBe(stream);
          expect(options?.hasNoStream()).toBe(expectedRevision === NO_STREAM);
          if (expectedRevision !== NO_STREAM) expect(options?.getStreamPosition()).toBe(String(expectedRevision));
          expect(options?.hasDeadline()).toBe(false);
          expect(request.getIsFinal()).toBe(true);
          const read = request.getProposedMessagesList().map((message) => ({
            id: message.getId()?.getString(),
            type: message.getMetadataMap().get("type"),
            contentType: message.getMetadataMap().get("content-type"),
            data: Buffer.from(message.getData_asU8()).toString(),
            metadata: Buffer.from(message.getCustomMetadata_asU8()).toString(),
          }));
          expect(read).toEqual(sent.map((event) => ({ ...event, contentType: "application/json" })));

          // The server sends the correlation id back as it came.
          const answer = new streams.BatchAppendResp();
          answer.setCorrelationId(request.getCorrelationId());
          expect(readBatchAnswer(Buffer.from(answer.serializeBinary())).correlation).toBe(number);
        },
      ),
    );
  });
});

describe("what the client's stubs write is read by hand", () => {
  it("for any event", () => {
    const revisions = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(
        texts,
        texts,
        texts,
        texts,
        revisions,
        unsigned64,
        unsigned64,
        (stream, type, data, metadata, revision, commit, prepare) => {
          const identifier = new shared.StreamIdentifier();
          identifier.setStreamName(Buffer.from(stream));
          const recorded = new streams.ReadResp.ReadEvent.RecordedEvent();
          recorded.setId(uuid("4f0b6f9e-0000-4000-8000-000000000000"));
          recorded.setStreamIdentifier(identifier);
          recorded.setStreamRevision(String(revision));
          recorded.setCommitPosition(String(commit));
          recorded.setPreparePosition(String(prepare));
          recorded.getMetadataMap().set("created", "16000000000000000");
          recorded.getMetadataMap().set("type", type);
          recorded.getMetadataMap().set("content-type", "type");
          recorded.setData(Buffer.from(data));
          recorded.setCustomMetadata(Buffer.from(metadata));
          const event = new streams.ReadResp.ReadEvent();
          event.setEvent(recorded);
          event.setCommitPosition(String(commit));
          const answer = new streams.ReadResp();
          answer.setEvent(event);
          const position = positionText({ commit, prepare });
          expect(readReadAnswer(Buffer.from(answer.serializeBinary()))).toEqual({
            event: { stream, revision, position, type, data, metadata },
            caughtUp: false,
          });
          expect(parsePosition(position)).toEqual({ commit, prepare });
        },
      ),
    );
  });

  it("for the other answers of a read, which are no events", () => {
    const caughtUp = new streams.ReadResp();
    caughtUp.setCaughtUp(new streams.ReadResp.CaughtUp());
    expect(readReadAnswer(Buffer.from(caughtUp.serializeBinary()))).toEqual({ event: undefined, caughtUp: true });
    const notFound = new streams.ReadResp();
    notFound.setStreamNotFound(new streams.ReadResp.StreamNotFound());
    expect(readReadAnswer(Buffer.from(notFound.serializeBinary()))).toEqual({ event: undefined, caughtUp: false });
    const linkOnly = new streams.ReadResp();
    linkOnly.setEvent(new streams.ReadResp.ReadEvent());
    expect(readReadAnswer(Buffer.from(linkOnly.serializeBinary()))).toEqual({ event: undefined, caughtUp: false });
  });

  it("for answers to appends, with ids as text or as two integers", () => {
    const success = new streams.BatchAppendResp.Success();
    success.setCurrentRevision("70000000000");
    const answer = new streams.BatchAppendResp();
    answer.setSuccess(success);
    answer.setCorrelationId(uuid("00000000-0000-4000-8000-00000000ff01"));
    expect(readBatchAnswer(Buffer.from(answer.serializeBinary()))).toEqual({ correlation: 65_281, lastRevision: 70_000_000_000 });

    const halves = new shared.UUID.Structured();
    halves.setMostSignificantBits("16384");
    halves.setLeastSignificantBits(String(BigInt.asIntN(64, 0x8000_0000_0000_ff01n)));
    const structured = new shared.UUID();
    structured.setStructured(halves);
    answer.setCorrelationId(structured);
    expect(readBatchAnswer(Buffer.from(answer.serializeBinary())).correlation).toBe(65_281);

    const first = new streams.BatchAppendResp();
    first.setSuccess(new streams.BatchAppendResp.Success().setCurrentRevision("0"));
    expect(readBatchAnswer(Buffer.from(first.serializeBinary())).lastRevision).toBe(0);
    const failed = new streams.BatchAppendResp();
    failed.setCorrelationId(uuid("00000000-0000-4000-8000-000000000002"));
    expect(readBatchAnswer(Buffer.from(failed.serializeBinary()))).toEqual({ correlation: 2, lastRevision: undefined });
  });
});

it("positions sort as the log does, and other texts are no positions", () => {
  fc.assert(
    fc.property(unsigned64, unsigned64, (one, other) => {
      const [first, second] = [positionText({ commit: one, prepare: 1n }), positionText({ commit: other, prepare: 1n })];
      expect(first < second).toBe(one < other);
    }),
  );
  for (const text of ["", "7", "1/", "/1", "1/2/3", "-1/2", "1/x"]) expect(() => parsePosition(text)).toThrow(RangeError);
});
