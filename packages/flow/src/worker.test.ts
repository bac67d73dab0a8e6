import { expect, test } from "vitest";
import { add, idsOf, message, storedEvents, streamOf, surroundings, toyWorker } from "./toy-service.ts";
import { linkAfter, readSeal } from "./seal.ts";
import { FIRST_LINK } from "@rerate/event-store";

test("messages are recorded once each, in order, on a hash chain", async () => {
  const world = surroundings();
  const worker = toyWorker(world);
  await worker.start();
  await world.bus.publish("toy.in", [message(add("a", "1", 5)), message(add("b", "1", 7)), message(add("a", "2", 6))]);
  await world.bus.publish("toy.in", [message(add("a", "1", 5)), message(add("a", "3", 1))]);
  await world.time.pass(1_000);
  expect(await idsOf(world, "a")).toEqual(["1", "2", "3"]);
  expect(await idsOf(world, "b")).toEqual(["1"]);
  expect(world.answers.filter((answer) => answer === "duplicate")).toHaveLength(1);
  let link = FIRST_LINK;
  for (const stored of await storedEvents(world, streamOf("a"))) {
    expect(readSeal(stored.metadata).previous).toBe(link);
    link = linkAfter(stored);
  }
  await worker.stop();
});
