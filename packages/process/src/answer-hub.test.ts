import { expect, test } from "vitest";
import { createAnswerHub } from "./answer-hub.ts";

const fact = { ns: "default", account: "acme", source: "api", id: "1", contentHash: "1:a" };
const awaited = { ns: "default", name: "acme", source: "api", id: "1", contentHash: "1:a" };

test("each content of one identity hears its own answer", async () => {
  const hub = createAnswerHub(() => {});
  const first = hub.awaitAnswer("usage.accepted", awaited, 1000);
  const again = hub.awaitAnswer("usage.accepted", awaited, 1000);
  const other = hub.awaitAnswer("usage.accepted", { ...awaited, contentHash: "1:b" }, 1000);
  hub.answered("usage.accepted", fact, { status: "recorded" });
  hub.answered("usage.accepted", { ...fact, contentHash: "1:b" }, { status: "conflict" });
  expect([await first, await again, await other].map((answer) => answer?.status)).toEqual(["recorded", "recorded", "conflict"]);
});

test("who does not hear in time hears nothing wrong", async () => {
  const waiting: (() => void)[] = [];
  const hub = createAnswerHub((task) => void waiting.push(task));
  const answer = hub.awaitAnswer("usage.accepted", awaited, 1000);
  hub.answered("usage.accepted", { ...fact, account: "other" }, { status: "recorded" });
  hub.answered("signal.accepted", fact, { status: "recorded" });
  for (const task of waiting) task();
  expect(await answer).toBeUndefined();
});

test("a wallet's command is known by its id, whatever its credits come from", async () => {
  const hub = createAnswerHub(() => {});
  const message = { ns: "default", name: "acme", source: "", id: "g-1", contentHash: "1:g" };
  const answer = hub.awaitAnswer("wallet.requested", message, 1000);
  hub.answered(
    "wallet.requested",
    { ns: "default", wallet: "acme", source: "purchase", id: "g-1", contentHash: "1:g" },
    { status: "recorded" },
  );
  expect((await answer)?.status).toBe("recorded");
});
