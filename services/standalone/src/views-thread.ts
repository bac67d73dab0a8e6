/**
 * The thread that writes the read models: it reads the log beside its writer, folds it, and writes `views.db`.
 *
 * Decides nothing and shares no memory: everything it knows it reads from the two files, and what is told here is only that
 * there is something to read (`views.ts` is the other end). So it can end at any moment.
 */
import { readSeal } from "@rerate/flow";
import { instant } from "@rerate/money";
import { createProjector } from "@rerate/projections";
import { openForViews, sleep } from "@rerate/runtime";
import { parentPort, workerData } from "node:worker_threads";
import type { FromViews, ToViews } from "./views.ts";

/** How long it rests after a write of many events; after few it only lets messages come in. */
const REST_MS = 150;
const MANY = 500;

const { dataDirectory } = workerData as { readonly dataDirectory: string };
const committed = new Set<() => void>();
const { eventStore, views, close } = openForViews(dataDirectory, (callback) => committed.add(callback));
const projector = createProjector({
  eventStore,
  database: views,
  recordedAt: ({ metadata }) => instant(readSeal(metadata).recordedAt),
  rest: (events) => sleep(events < MANY ? 0 : REST_MS),
  onChange: tellStatus,
});

function tell(message: FromViews): void {
  parentPort?.postMessage(message);
}

function tellStatus(): void {
  const { running, events, position, failure } = projector.status();
  tell({
    kind: "status",
    running,
    events,
    position,
    ...(failure === undefined ? {} : { failure: failure instanceof Error ? failure.message : "it ended by itself" }),
  });
}

async function answer(call: number): Promise<void> {
  try {
    for (const callback of committed) callback();
    await projector.caughtUp();
    tell({ kind: "caught-up", call });
  } catch (error) {
    tell({ kind: "caught-up", call, failure: String(error) });
  }
}

async function stop(): Promise<void> {
  await projector.stop();
  await close();
  parentPort?.close();
}

parentPort?.on("message", (message: ToViews) => {
  if (message.kind === "committed") for (const callback of committed) callback();
  else if (message.kind === "caught-up") void answer(message.call);
  else void stop();
});
projector.start();
tellStatus();
