/** Catalog as a process of its own. Any number may run: each appends directly, with the expected revision. */
import { contractChangedTopic } from "@rerate/ledger";
import { runService } from "@rerate/process";
import { randomBytes } from "node:crypto";
import { routes } from "./routes.ts";
import { createCatalogService } from "./service.ts";

await runService("catalog", async (process) => {
  const { catalogue, keys, follower } = process.views;
  const { nowMs } = process.door();
  const { relay, ...surroundings } = await process.surroundings("catalog", [contractChangedTopic]);
  // Nothing comes to catalog by topic, so no partition is anybody's: every process publishes its hints about all of them.
  relay?.own(Array.from({ length: process.config.partitions }, (_, partition) => partition));
  const catalog = createCatalogService({ ...surroundings, catalogue });
  return {
    parts: [catalog],
    plugins: [
      routes({
        record: catalog.record,
        catalogue,
        keys,
        caughtUp: () => follower.caughtUp(),
        nowMs,
        leadTimeMs: process.config.leadTimeMs,
        randomBytes: (count) => randomBytes(count),
      }),
    ],
  };
});
