/**
 * What a producing service installs: takes usage, signals and costs at once, sends them over HTTP in batches, and never throws.
 *
 * Keeps at most `maxQueue` facts in memory: while billing is down they wait, and beyond that new ones are dropped and counted.
 * Sending is at least once; the ledger bills a repeated fact once. What is in memory is lost with the process: `onUndelivered`
 * is the place for an outbox, and a service that must lose nothing writes to Kafka or to its own database first.
 */
import type { ReceiptRead } from "@rerate/wire";
import { createFactEmitter, type Deliver } from "./fact-emitter.ts";
import type { Emitter, EmittingOptions, Fact } from "./facts.ts";
import { createTransport, RefusedError, type ClientOptions } from "./transport.ts";

export interface EmitterOptions extends ClientOptions, EmittingOptions {}

export function createEmitter(options: EmitterOptions): Emitter {
  const transport = createTransport(options);
  const lane =
    (path: string): Deliver =>
    async (batch) => {
      const body = batch.map((fact) => fact.body);
      try {
        const receipt = (await transport({ method: "POST", path, query: { partial: "true" }, body })) as ReceiptRead;
        const detail = (receipt.refused ?? []).map((problem) => `${problem.pointer} ${problem.detail}`).join("; ");
        const refused = refusedOf(batch, receipt.refused ?? []);
        // So many problems that the list was cut: smaller batches name every fact, and sending again is harmless.
        if (refused.length + receipt.accepted !== batch.length) return { kind: "too-large", detail };
        return { kind: "done", refused, detail };
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        if (error.status === 413) return { kind: "too-large", detail: error.message };
        if (isFinal(error.status)) return { kind: "done", refused: batch, detail: error.message };
        throw error;
      }
    };
  return createFactEmitter(options, { usage: lane("/api/v1/events"), signal: lane("/v1/signals"), cost: lane("/v1/costs") });
}

/** The facts of a batch that a receipt lists: its pointers begin with their index. */
function refusedOf(batch: readonly Fact[], refused: readonly { readonly pointer: string }[]): Fact[] {
  const indexes = new Set(refused.map(({ pointer }) => Number(pointer.split("/")[1])));
  return batch.filter((_, index) => indexes.has(index));
}

/** Refusals that sending again cannot mend. A bad key or a wrong address can be mended by people, so those are retried. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 403, 404, 408, 421, 425, 429].includes(status);
}
