/** Settlement as a process of its own. */
import { runService } from "@rerate/process";
import { createSettlementService, settlementTopics } from "./service.ts";

await runService("settlement", async (process) => {
  const worker = createSettlementService({
    ...(await process.surroundings("settlement", settlementTopics)),
    catalogue: process.views.catalogue,
    catalogueLags: () => process.views.follower.interrupted,
    answers: process.answersTo("usage.accepted"),
  });
  return { plugins: [], workers: [{ ...worker, name: "settlement" }] };
});
