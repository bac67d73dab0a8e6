/**
 * The read models as the main thread sees them: their tables, how far they are, and the thread that writes them.
 *
 * Reading is done here, on a connection of its own; writing is done by `views-thread.ts`. Between the two go only messages
 * without content that matters: "something was committed", "how far are you".
 */
import { openProjectionStore, type Projector, type ProjectorStatus } from "@rerate/projections";
import { defer, openViewsReader, type Engines } from "@rerate/runtime";
import { Worker } from "node:worker_threads";

/** The projector in its thread. */
export type Views = Pick<Projector, "store" | "stop" | "caughtUp" | "status">;

export type ToViews =
  | { readonly kind: "committed" }
  | { readonly kind: "caught-up"; readonly call: number }
  | { readonly kind: "stop" };

export type FromViews =
  | {
      readonly kind: "status";
      readonly running: boolean;
      readonly events: number;
      readonly position: string | undefined;
      readonly failure?: string;
    }
  | { readonly kind: "caught-up"; readonly call: number; readonly failure?: string };

/** Commits are told at most so often: under load there are hundreds a second. */
const TELL_MS = 5;
/** Of its heap: pages of the log and changed rows, nothing that grows with the ledger. */
const HEAP = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 48 };

/** Starts the thread; resolves when the tables are there to be read. Rejects when it cannot open its files. */
export async function startViews(dataDirectory: string, log: Pick<Engines["eventStore"], "onAppended">): Promise<Views> {
  const thread = new Worker(new URL("./views-thread.ts", import.meta.url), {
    name: "views",
    workerData: { dataDirectory },
    resourceLimits: HEAP,
  });
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const calls = new Map<number, PromiseWithResolvers<void>>();
  let status: ProjectorStatus = { running: false, events: 0, position: undefined };
  let lastCall = 0;
  let isTold = false;

  thread.on("message", (message: FromViews) => {
    if (message.kind === "status") {
      const { running, events, position, failure } = message;
      status = { running, events, position, ...(failure === undefined ? {} : { failure: new Error(failure) }) };
      opened.resolve();
    } else if (message.failure === undefined) calls.get(message.call)?.resolve();
    else calls.get(message.call)?.reject(new Error(message.failure));
  });
  thread.on("error", (error) => {
    status = { ...status, running: false, failure: error };
    opened.reject(error);
  });
  thread.on("exit", () => {
    status = { ...status, running: false };
    for (const call of calls.values()) call.reject(status.failure ?? new Error("the thread of the read models has ended"));
    ended.resolve();
  });
  const unlisten = log.onAppended(() => {
    if (isTold) return;
    isTold = true;
    defer(() => {
      isTold = false;
      tell({ kind: "committed" });
    }, TELL_MS);
  });

  function tell(message: ToViews): void {
    thread.postMessage(message);
  }

  await opened.promise;
  const database = openViewsReader(dataDirectory);
  return {
    store: openProjectionStore(database),
    async stop() {
      unlisten();
      tell({ kind: "stop" });
      await ended.promise;
      database.close();
    },
    async caughtUp() {
      const call = (lastCall += 1);
      const answered = Promise.withResolvers<void>();
      calls.set(call, answered);
      tell({ kind: "caught-up", call });
      try {
        await answered.promise;
      } finally {
        calls.delete(call);
      }
    },
    status: () => status,
  };
}
