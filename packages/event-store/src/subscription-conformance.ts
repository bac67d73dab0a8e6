/** The part of the suite that is about subscriptions; every engine runs it through `describeEventStore`. */
import { FILLED, fill, append, pages, place, watch, rejects, type TestFunctions } from "./conformance-fixtures.ts";
import { type EventStore, NO_STREAM, type Position } from "./port.ts";

/** `test` opens an empty log for each test and closes it. */
export function describeSubscriptions(
  { describe, expect }: TestFunctions,
  name: string,
  test: (title: string, body: (store: EventStore) => Promise<void>) => void,
): void {
  describe(`${name} subscribes`, () => {
    test("to what is there, then to what comes", async (store) => {
      await fill(store);
      const { seen, reached, onEvents } = watch();
      const subscription = store.subscribeAll({ maxBatch: 4, onEvents });
      await reached(FILLED.length);
      await store.append([append("a-9", NO_STREAM, 2)]);
      await store.append([append("a-9", 1, 1)]);
      await reached(FILLED.length + 3);
      expect(seen.flatMap(({ events }) => events.map(place))).toEqual([...FILLED, "a-9 0", "a-9 1", "a-9 2"]);
      expect(seen.every(({ events, next }) => events.length > 0 && events.length <= 4 && next !== undefined)).toEqual(true);
      await subscription.stop();
      expect(await subscription.done).toEqual(undefined);
    });

    test("after a position, exclusively, and with prefixes", async (store) => {
      await fill(store);
      const { events } = await store.readAll({ maxCount: 100 });
      const { seen, reached, onEvents } = watch();
      const subscription = store.subscribeAll({ after: events[2]?.position, prefixes: ["a-"], onEvents });
      const expected = FILLED.slice(3).filter((text) => text.startsWith("a-"));
      await reached(expected.length);
      await store.append([append("b-9", NO_STREAM, 1), append("a-9", NO_STREAM, 1)]);
      await reached(expected.length + 1);
      expect(seen.flatMap((page) => page.events.map(place))).toEqual([...expected, "a-9 0"]);
      await subscription.stop();
      await subscription.done;
    });

    test("and goes on where another one has stopped, with nothing lost and nothing twice", async (store) => {
      await fill(store);
      const seen: string[] = [];
      let after: Position | undefined;
      let revision = NO_STREAM;
      for (let round = 0; round < 6; round++) {
        await store.append([append("a-late", revision, 2)]);
        revision += 2;
        const expected = (await pages(store, { prefixes: ["a-"], maxCount: 100 })).length;
        // Stops in the middle of what there is, except in the last round.
        const enough = round === 5 ? expected : Math.min(seen.length + 3, expected);
        const reached = Promise.withResolvers<void>();
        const subscription = store.subscribeAll({
          after,
          prefixes: ["a-"],
          maxBatch: 2,
          onEvents(page) {
            if (seen.length >= enough) return;
            seen.push(...page.events.map(place));
            after = page.next;
            if (seen.length >= enough) reached.resolve();
          },
        });
        await reached.promise;
        await subscription.stop();
        await subscription.done;
      }
      expect(seen).toEqual((await pages(store, { prefixes: ["a-"], maxCount: 100 })).map(place));
    });

    test("and says when it has come to the end", async (store) => {
      await fill(store);
      const { seen, reached, onEvents } = watch();
      const subscription = store.subscribeAll({ maxBatch: 5, onEvents });
      await reached(FILLED.length);
      expect(seen.map(({ end }) => end)).toEqual(seen.map((_, index) => index === seen.length - 1));
      await store.append([append("a-9", NO_STREAM, 1)]);
      await reached(FILLED.length + 1);
      expect(seen.at(-1)?.end).toEqual(true);
      await subscription.stop();
      await subscription.done;
    });

    test("one batch at a time", async (store) => {
      await fill(store);
      let running = 0;
      let most = 0;
      const { reached, onEvents } = watch();
      const subscription = store.subscribeAll({
        maxBatch: 2,
        async onEvents(page) {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setImmediate(resolve));
          running -= 1;
          onEvents(page);
        },
      });
      await reached(FILLED.length);
      expect(most).toEqual(1);
      await subscription.stop();
      await subscription.done;
    });

    test("until the handler rejects", async (store) => {
      await fill(store);
      let calls = 0;
      const subscription = store.subscribeAll({
        maxBatch: 2,
        async onEvents() {
          calls += 1;
          throw new TypeError("I cannot take this");
        },
      });
      expect(await rejects(subscription.done)).toEqual("TypeError");
      await store.append([append("a-9", NO_STREAM, 1)]);
      expect(calls).toEqual(1);
    });

    test("until it is stopped", async (store) => {
      await fill(store);
      const { seen, reached, onEvents } = watch();
      const subscription = store.subscribeAll({ onEvents });
      await reached(FILLED.length);
      await subscription.stop();
      const calls = seen.length;
      await store.append([append("a-9", NO_STREAM, 1)]);
      await subscription.done;
      expect(seen.length).toEqual(calls);
    });

    test("until the store is closed, which then refuses everything", async (store) => {
      const { onEvents } = watch();
      const subscription = store.subscribeAll({ onEvents });
      await store.close();
      expect(await subscription.done).toEqual(undefined);
      expect(await rejects(store.append([append("a-1", NO_STREAM, 1)]))).toEqual("Error");
      expect(await rejects(store.readForward("a-1", { maxCount: 1 }))).toEqual("Error");
      expect(await rejects(store.readLast("a-1"))).toEqual("Error");
      expect(await rejects(store.readAll({ maxCount: 1 }))).toEqual("Error");
    });
  });
}
