import { createMemoryEventStore } from "@rerate/event-store";
import { describeEventStore } from "@rerate/event-store/conformance";
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
