/**
 * The suite that every engine of the event store must pass, whatever it keeps its events in.
 *
 * Compares every field of every result. Positions are opaque: only their order and their use are tested.
 */
import { MAX_APPEND_BYTES } from "./append-rules.ts";
import { FIRST_LINK, chainHash } from "./chain.ts";
import {
  FILLED,
  fill,
  append,
  stored,
  event,
  plain,
  place,
  pages,
  rejects,
  type OpenedStore,
  type TestFunctions,
} from "./conformance-fixtures.ts";
import { type EventStore, NO_STREAM, type NewEvent } from "./port.ts";
import { describeSubscriptions } from "./subscription-conformance.ts";

export { endOfLog, openRoom } from "./conformance-room.ts";
export type { OpenedStore, TestFunctions } from "./conformance-fixtures.ts";

/** `open` gives an empty log every time. */
export function describeEventStore(
  { describe, it, expect }: TestFunctions,
  name: string,
  open: () => Promise<OpenedStore>,
): void {
  function test(title: string, body: (store: EventStore, opened: OpenedStore) => Promise<void>): void {
    it(title, async () => {
      const opened = await open();
      try {
        await body(opened.store, opened);
      } finally {
        await opened.close();
      }
    });
  }

  describe(`${name} appends`, () => {
    test("to a stream that does not exist, and numbers its events from 0", async (store) => {
      expect(await store.append([append("a-1", NO_STREAM, 3)])).toEqual([{ kind: "committed", lastRevision: 2 }]);
      expect(await store.append([append("a-1", 2, 2)])).toEqual([{ kind: "committed", lastRevision: 4 }]);
      expect((await store.readForward("a-1", { maxCount: 10 })).map(plain)).toEqual(stored("a-1", 0, 5));
    });

    test("nothing when the writer expects an older, a newer or no stream", async (store) => {
      await store.append([append("a-1", NO_STREAM, 3)]);
      const others = (expectedRevision: number) => store.append([{ stream: "a-1", expectedRevision, events: [event("other")] }]);
      expect(await others(NO_STREAM)).toEqual([{ kind: "conflict", actualRevision: 2 }]);
      expect(await others(1)).toEqual([{ kind: "conflict", actualRevision: 2 }]);
      expect(await others(3)).toEqual([{ kind: "conflict", actualRevision: 2 }]);
      expect(await store.append([append("a-2", 0, 1)])).toEqual([{ kind: "conflict", actualRevision: NO_STREAM }]);
      expect((await store.readForward("a-1", { maxCount: 10 })).length).toEqual(3);
      expect(await store.readForward("a-2", { maxCount: 10 })).toEqual([]);
    });

    test("nothing twice: an identical re-send is answered like the first", async (store) => {
      await store.append([append("a-1", NO_STREAM, 2)]);
      await store.append([append("a-1", 1, 3)]);
      expect(await store.append([append("a-1", NO_STREAM, 2)])).toEqual([{ kind: "committed", lastRevision: 1 }]);
      expect(await store.append([append("a-1", 1, 3)])).toEqual([{ kind: "committed", lastRevision: 4 }]);
      // The beginning of a stored append is acknowledged, one that goes on beyond the stream is not.
      expect(await store.append([append("a-1", 1, 2)])).toEqual([{ kind: "committed", lastRevision: 3 }]);
      expect(await store.append([append("a-1", 1, 4)])).toEqual([{ kind: "conflict", actualRevision: 4 }]);
      expect((await store.readForward("a-1", { maxCount: 10 })).length).toEqual(5);
    });

    test("nothing when one byte of a re-send differs", async (store) => {
      const sent = append("a-1", NO_STREAM, 2);
      await store.append([sent]);
      const [first, second] = sent.events;
      if (first === undefined || second === undefined) throw new Error("two events were made");
      for (const changed of [
        [first, { ...second, type: `${second.type}X` }],
        [first, { ...second, data: `${second.data} ` }],
        [first, { ...second, metadata: `${second.metadata} ` }],
        [{ ...first, data: "{}" }, second],
      ]) {
        expect(await store.append([{ ...sent, events: changed }])).toEqual([{ kind: "conflict", actualRevision: 1 }]);
      }
    });

    test("to several streams, each alone, with one result each in order", async (store) => {
      await store.append([append("a-1", NO_STREAM, 1), append("a-2", NO_STREAM, 1)]);
      expect(
        await store.append([
          append("a-1", 0, 2),
          { stream: "a-2", expectedRevision: NO_STREAM, events: [event("other")] },
          append("a-3", NO_STREAM, 1),
          append("a-3", 0, 2),
          append("a-2", NO_STREAM, 1),
        ]),
      ).toEqual([
        { kind: "committed", lastRevision: 2 },
        { kind: "conflict", actualRevision: 0 },
        { kind: "committed", lastRevision: 0 },
        { kind: "committed", lastRevision: 2 },
        { kind: "committed", lastRevision: 0 },
      ]);
      expect((await store.readForward("a-3", { maxCount: 10 })).map(plain)).toEqual(stored("a-3", 0, 3));
    });

    test("only one of two writers that race for the same revision", async (store) => {
      const race = ["left", "right"].map((data) =>
        store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events: [event(data)] }]),
      );
      const results = (await Promise.all(race)).flat();
      expect(results.map(({ kind }) => kind).sort()).toEqual(["committed", "conflict"]);
      expect((await store.readForward("a-1", { maxCount: 10 })).length).toEqual(1);
    });

    test("the same text again where the stream has gone on, as further events", async (store) => {
      const same = [event("same"), event("same")];
      expect(await store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events: same }])).toEqual([
        { kind: "committed", lastRevision: 1 },
      ]);
      expect(await store.append([{ stream: "a-1", expectedRevision: 1, events: same }])).toEqual([
        { kind: "committed", lastRevision: 3 },
      ]);
      // A re-send of either, at its own place, still writes nothing.
      for (const [expectedRevision, lastRevision] of [
        [NO_STREAM, 1],
        [1, 3],
      ] as const) {
        expect(await store.append([{ stream: "a-1", expectedRevision, events: same }])).toEqual([
          { kind: "committed", lastRevision },
        ]);
      }
      expect((await store.readForward("a-1", { maxCount: 10 })).map(({ revision }) => revision)).toEqual([0, 1, 2, 3]);
    });

    test("nothing when only a later event of a re-send differs, or when another text stands at its beginning", async (store) => {
      await store.append([append("a-1", NO_STREAM, 4)]);
      const sent = append("a-1", NO_STREAM, 3).events;
      const conflict = [{ kind: "conflict", actualRevision: 3 }];
      for (const place of [0, 1, 2]) {
        const events = sent.with(place, event("other"));
        expect(await store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events }])).toEqual(conflict);
      }
      // The right texts one place too early.
      const shifted = append("a-1", 0, 3).events;
      expect(await store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events: shifted }])).toEqual(conflict);
      expect((await store.readForward("a-1", { maxCount: 10 })).map(plain)).toEqual(stored("a-1", 0, 4));
    });

    test("many at once, each answered in its place", async (store) => {
      const streams = Array.from({ length: 300 }, (_, index) => `a-${index}`);
      const first = await store.append(streams.map((stream) => append(stream, NO_STREAM, 2)));
      expect(first).toEqual(streams.map(() => ({ kind: "committed", lastRevision: 1 })));
      const second = await Promise.all(
        streams.map((stream, index) => store.append([append(stream, index % 3 === 0 ? NO_STREAM : 1, 3)])),
      );
      expect(second.flat()).toEqual(
        streams.map((_, index) =>
          index % 3 === 0 ? { kind: "conflict", actualRevision: 1 } : { kind: "committed", lastRevision: 4 },
        ),
      );
      expect((await pages(store, { maxCount: 500 })).length).toEqual(600 + 200 * 3);
    });

    test("an empty list of appends, as nothing", async (store) => {
      expect(await store.append([])).toEqual([]);
    });

    test("every text exactly as given", async (store) => {
      const events: NewEvent[] = [
        { type: "Ünïcode", data: '{"ключ":"значение 🧾 \\n\\u0000 ﻿"}', metadata: '{"日本":"\u2028\u2029"}' },
        { type: "X", data: "", metadata: "" },
        { type: "Space", data: ' { "a" : 1.0 } ', metadata: "{}" },
      ];
      await store.append([{ stream: "a-ø.né", expectedRevision: NO_STREAM, events }]);
      expect(
        (await store.readForward("a-ø.né", { maxCount: 10 })).map(({ type, data, metadata }) => ({ type, data, metadata })),
      ).toEqual(events);
    });

    test("up to the largest append, and refuses what could not be stored exactly", async (store) => {
      const large = { type: "Large", data: "ä".repeat(MAX_APPEND_BYTES / 2 - 10), metadata: "{}" };
      expect(await store.append([{ stream: "a-1", expectedRevision: NO_STREAM, events: [large] }])).toEqual([
        { kind: "committed", lastRevision: 0 },
      ]);
      const good = event("good");
      for (const bad of [
        { stream: "a-1", expectedRevision: 0, events: [] },
        { stream: "a-1", expectedRevision: 0, events: [large, good, { ...large, data: large.data.slice(0, 30) }] },
        { stream: "a-1", expectedRevision: 0, events: Array.from({ length: 1_001 }, () => good) },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, data: "a\nb" }] },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, metadata: "a\rb" }] },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, type: "a\nb" }] },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, type: "" }] },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, data: "\ud800" }] },
        { stream: "a-1", expectedRevision: 0, events: [{ ...good, data: "\0" }] },
        { stream: "a-1", expectedRevision: -2, events: [good] },
        { stream: "a-1", expectedRevision: 0.5, events: [good] },
        { stream: "", expectedRevision: NO_STREAM, events: [good] },
      ]) {
        // One bad append refuses its whole list, before anything is written.
        expect(await rejects(store.append([{ stream: "a-2", expectedRevision: NO_STREAM, events: [good] }, bad]))).toEqual(
          "RangeError",
        );
      }
      expect(await store.readForward("a-2", { maxCount: 1 })).toEqual([]);
      expect((await store.readForward("a-1", { maxCount: 10 })).map(({ data }) => data.length)).toEqual([large.data.length]);
    });
  });

  describe(`${name} reads one stream`, () => {
    test("from a revision, at most so many events", async (store) => {
      for (const expected of [-1, 2, 5, 8])
        await store.append([append("a-1", expected, 3), append(`a-x${expected}`, NO_STREAM, 2)]);
      const read = async (from: number, maxCount: number) => (await store.readForward("a-1", { from, maxCount })).map(plain);
      expect(await read(0, 100)).toEqual(stored("a-1", 0, 12));
      expect(await read(4, 4)).toEqual(stored("a-1", 4, 4));
      expect(await read(11, 5)).toEqual(stored("a-1", 11, 1));
      expect(await read(12, 5)).toEqual([]);
      expect(await read(500, 5)).toEqual([]);
    });

    test("its last event, or nothing", async (store) => {
      expect(await store.readLast("a-1")).toEqual(undefined);
      await store.append([append("a-1", NO_STREAM, 3), append("a-2", NO_STREAM, 1)]);
      const last = await store.readLast("a-1");
      expect(last && plain(last)).toEqual(stored("a-1", 2, 1)[0]);
      expect(await store.readForward("a-3", { maxCount: 5 })).toEqual([]);
    });
  });

  describe(`${name} reads all streams`, () => {
    test("of an empty log", async (store) => {
      expect(await store.readAll({ maxCount: 10 })).toEqual({ events: [], next: undefined, end: true });
    });

    test("in the order of the appends, with the events of one append together", async (store) => {
      await fill(store);
      const page = await store.readAll({ maxCount: 100 });
      expect(page.events.map(place)).toEqual(FILLED);
      expect(page.end).toEqual(true);
      expect(page.next).toEqual(page.events.at(-1)?.position);
      expect(new Set(page.events.map(({ position }) => position)).size).toEqual(FILLED.length);
    });

    test("in pages of any size, going on after the last position", async (store) => {
      await fill(store);
      for (const maxCount of [1, 2, 3, 5]) expect((await pages(store, { maxCount })).map(place)).toEqual(FILLED);
    });

    test("after any position, exclusively", async (store) => {
      await fill(store);
      const { events } = await store.readAll({ maxCount: 100 });
      for (const [index, { position }] of events.entries()) {
        expect((await pages(store, { after: position, maxCount: 4 })).map(place)).toEqual(FILLED.slice(index + 1));
      }
      const end = await store.readAll({ after: events.at(-1)?.position, maxCount: 4 });
      expect(end).toEqual({ events: [], next: events.at(-1)?.position, end: true });
    });

    test("whose names begin with one of some prefixes", async (store) => {
      await fill(store);
      const read = async (prefixes: readonly string[], maxCount: number) =>
        (await pages(store, { prefixes, maxCount })).map(place);
      const expected = (...prefixes: string[]) => FILLED.filter((text) => prefixes.some((prefix) => text.startsWith(prefix)));
      for (const maxCount of [1, 3, 100]) {
        for (const prefixes of [
          ["a-"],
          ["b-", "a-2"],
          ["a-1"],
          ["c-"],
          ["a"],
          ["a-", "b-", "c-", "lonely"],
          ["lonely"],
          ["nobody-"],
          [""],
          [],
        ]) {
          expect(await read(prefixes, maxCount)).toEqual(expected(...prefixes));
        }
      }
    });

    test("and goes on past events that the filter left out", async (store) => {
      await fill(store);
      const all = await store.readAll({ maxCount: 100 });
      const page = await store.readAll({ prefixes: ["nobody-"], maxCount: 100 });
      expect(page.events).toEqual([]);
      expect(page.end).toEqual(true);
      await store.append([append("nobody-1", NO_STREAM, 1)]);
      expect((await store.readAll({ after: page.next, maxCount: 100 })).events.map(place)).toEqual(["nobody-1 0"]);
      expect((await store.readAll({ after: all.next, prefixes: ["nobody-"], maxCount: 100 })).events.map(place)).toEqual([
        "nobody-1 0",
      ]);
    });
  });

  describeSubscriptions({ describe, it, expect }, name, test);

  describe(`${name} keeps`, () => {
    test("a hash chain that can be computed again from what is read", async (store) => {
      let link = FIRST_LINK;
      for (let revision = 0; revision < 3; revision++) {
        const made = { type: "Linked", data: `{"n":${revision}}`, metadata: `{"link":"${link}"}` };
        await store.append([{ stream: "a-1", expectedRevision: revision - 1, events: [made] }]);
        link = chainHash("a-1", revision, made.type, made.data, made.metadata);
      }
      let expected = FIRST_LINK;
      for (const { stream, revision, type, data, metadata } of await store.readForward("a-1", { maxCount: 10 })) {
        expect(metadata).toEqual(`{"link":"${expected}"}`);
        expected = chainHash(stream, revision, type, data, metadata);
      }
      expect(expected).toEqual(link);
    });

    test("everything when it is opened again, where it is durable", async (store, { reopen }) => {
      await fill(store);
      const before = await store.readAll({ maxCount: 100 });
      if (reopen === undefined) return;
      const again = await reopen();
      const after = await again.readAll({ maxCount: 100 });
      expect(after.events.map(plain)).toEqual(before.events.map(plain));
      expect(after.events.map(({ position }) => position)).toEqual(before.events.map(({ position }) => position));
      expect(after.next).toEqual(before.next);
      const last = await again.readLast("a-2");
      expect(last && plain(last)).toEqual(stored("a-2", 4, 1)[0]);
      for (const maxCount of [1, 2, 5]) {
        expect((await pages(again, { maxCount })).map(place)).toEqual(FILLED);
        for (const prefixes of [["b-"], ["a-2", "c-"], ["a-", "b-", "c-", "lonely"], ["nobody-"]]) {
          const expected = FILLED.filter((text) => prefixes.some((prefix) => text.startsWith(prefix)));
          expect((await pages(again, { prefixes, maxCount })).map(place)).toEqual(expected);
        }
      }
      // Revisions, re-sends and conflicts are judged as before, and new events come after the old ones.
      expect(await again.append([append("a-1", NO_STREAM, 1), append("a-1", 1, 1), append("a-1", 5, 1)])).toEqual([
        { kind: "committed", lastRevision: 0 },
        { kind: "committed", lastRevision: 2 },
        { kind: "conflict", actualRevision: 2 },
      ]);
      expect(await again.append([append("a-1", 2, 2)])).toEqual([{ kind: "committed", lastRevision: 4 }]);
      expect((await again.readForward("a-1", { from: 1, maxCount: 10 })).map(plain)).toEqual(stored("a-1", 1, 4));
      expect((await again.readAll({ after: before.next, maxCount: 100 })).events.map(place)).toEqual(["a-1 3", "a-1 4"]);
      await again.close();
    });
  });
}
