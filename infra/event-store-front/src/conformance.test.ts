import { createMemoryEventStore, NO_STREAM } from "@rerate/event-store";
import { describeEventStore, endOfLog, openRoom } from "@rerate/event-store/conformance";
import { openEventStoreDb } from "@rerate/event-store/eventstoredb";
import { describe, expect, it } from "vitest";
import { FRONT_APPEND_BYTES } from "./appending.ts";
import { startFront } from "./front.ts";

describeEventStore({ describe, it, expect }, "EventStoreDB on the front over memory", async () => {
  const front = await startFront({ eventStore: createMemoryEventStore({ maxAppendBytes: FRONT_APPEND_BYTES }) });
  const store = openEventStoreDb({ connectionString: front.connectionString, deadlineMs: 3_000 });
  return {
    store,
    async close() {
      await store.close();
      await front.stop();
    },
  };
});

describeEventStore({ describe, it, expect }, "EventStoreDB on a front whose log others use too", async () => {
  const front = await startFront({ eventStore: createMemoryEventStore({ maxAppendBytes: FRONT_APPEND_BYTES }) });
  const store = openEventStoreDb({ connectionString: front.connectionString, deadlineMs: 3_000 });
  const foreign = { type: "Foreign", data: "{}", metadata: "{}" };
  for (const stream of ["a-1", "$stats", "room-8.a-1", "room-7", "lonely"]) {
    await store.append([{ stream, expectedRevision: NO_STREAM, events: [foreign, foreign] }]);
  }
  return {
    store: openRoom(store, "room-7.", await endOfLog(store)),
    async close() {
      await store.close();
      await front.stop();
    },
  };
});
