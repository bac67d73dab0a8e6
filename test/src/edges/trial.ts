/**
 * A whole standalone in a temporary directory on a free port, spoken to over real HTTP.
 *
 * Owns starting, restarting and throwing it away, and the two checks that must hold after anything: every accepted fact is recorded
 * or parked, and the log verifies. Tests say what they send and what must come of it.
 */
import { createClient, type RerateClient } from "@rerate/client";
import { decodeEvent, parseStreamName, type AccountEvent } from "@rerate/ledger";
import { readModelsOf, verify, type VerifyReport } from "@rerate/replay";
import { createLifecycle, createLogger, openLogReadOnly, openViewsReadOnly, readConfig, sleep } from "@rerate/runtime";
import { composeStandalone, type Standalone } from "@rerate/standalone";
import { topicCodec } from "@rerate/wire";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined where it is no JSON. */
  readonly json: unknown;
}

export interface Ask {
  readonly body?: unknown;
  readonly type?: string;
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Trial {
  readonly directory: string;
  readonly url: () => string;
  readonly standalone: () => Standalone;
  readonly client: (key?: string) => RerateClient;
  /** One request; a body that is no text is sent as JSON. */
  ask(method: string, path: string, options?: Ask): Promise<Reply>;
  /** Waits until everything that was accepted is decided and projected. */
  settled(): Promise<void>;
  /** Stops everything and starts again on the same data. */
  restart(environment?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
  /** Stops, verifies the log and the read models, and deletes the directory. */
  close(): Promise<VerifyReport>;
}

/** Starts in a new temporary directory, or on the data of the one given. */
export async function startTrial(
  environment: Readonly<Record<string, string>> = {},
  directory: string = mkdtempSync(join(tmpdir(), "rerate-edges-")),
): Promise<Trial> {
  let running = await start(directory, environment);

  const trial: Trial = {
    directory,
    url: () => running.url,
    standalone: () => running.standalone,
    client: (key) => createClient({ url: running.url, ...(key === undefined ? {} : { key }) }),
    async ask(method, path, { body, type = "application/json", key, headers = {} } = {}) {
      const response = await fetch(`${running.url}${path}`, {
        method,
        headers: {
          ...(body === undefined ? {} : { "content-type": type }),
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(60_000),
      });
      return { status: response.status, headers: response.headers, ...parsed(await response.text()) };
    },
    settled: async () => settled(running.standalone),
    async restart(again = environment) {
      await running.stop();
      running = await start(directory, again);
    },
    stop: async () => running.stop(),
    async close() {
      await settled(running.standalone);
      await running.stop();
      const report = await audit(directory);
      rmSync(directory, { recursive: true });
      return report;
    },
  };
  return trial;
}

interface Running {
  readonly standalone: Standalone;
  readonly url: string;
  stop(): Promise<void>;
}

async function start(directory: string, environment: Readonly<Record<string, string>>): Promise<Running> {
  const config = readConfig("embedded", { RERATE_DATA: directory, RERATE_PORT: "0", ...environment });
  const log = createLogger("error");
  const lifecycle = createLifecycle(log);
  try {
    const standalone = await composeStandalone({
      config,
      log,
      lifecycle,
      onFailure(error) {
        throw error;
      },
    });
    const url = await standalone.server.listen();
    return { standalone, url, stop: async () => lifecycle.stop() };
  } catch (error) {
    await lifecycle.stop();
    throw error;
  }
}

async function settled({ engines, workers, projector }: Standalone): Promise<void> {
  for (let quiet = 0; quiet < 3;) {
    const lags = await Promise.all(Object.keys(workers).map(async (group) => engines.bus.lag(group)));
    quiet = lags.flat().every(({ lag }) => lag === 0) ? quiet + 1 : 0;
    await sleep(20);
  }
  await projector.caughtUp();
}

function parsed(text: string): { readonly text: string; readonly json: unknown } {
  try {
    return { text, json: JSON.parse(text) as unknown };
  } catch {
    return { text, json: undefined };
  }
}

/** `verify` on the files of a directory, beside a server or without one. */
export async function audit(directory: string): Promise<VerifyReport> {
  const log = openLogReadOnly(directory);
  const views = openViewsReadOnly(directory);
  try {
    return await verify({
      eventStore: log.eventStore,
      ...(views === undefined ? {} : { projections: readModelsOf(views) }),
    });
  } finally {
    views?.close();
    await log.close();
  }
}

/** The identity of a fact as one text. */
export function factName(account: string, source: string, id: string, ns = "default"): string {
  return JSON.stringify([ns, account, source, id]);
}

export interface FactsInside {
  /** One line for every record of a fact: what stands in the log twice stands here twice. */
  readonly recorded: readonly string[];
  /** One line for every parked fact. */
  readonly parked: readonly string[];
}

/** The fact that an event of an account records, if it records one. */
function factOf(event: AccountEvent): { readonly source: string; readonly id: string } | undefined {
  switch (event.type) {
    case "UsageRecorded":
    case "UsageCorrected":
    case "CorrectionWaiting":
    case "CostRecorded":
    case "CostCorrected":
      return event.data;
    default:
      return undefined;
  }
}

/** Reads the log and the parked messages themselves, past all read models: what became of every fact. */
export async function factsInside({ engines }: Standalone): Promise<FactsInside> {
  const recorded: string[] = [];
  for (let after: string | undefined, end = false; !end;) {
    const page = await engines.eventStore.readAll({ prefixes: ["account-"], maxCount: 1000, after });
    for (const stored of page.events) {
      const fact = factOf(decodeEvent("account", stored));
      if (fact === undefined) continue;
      const { ns, name } = parseStreamName(stored.stream);
      recorded.push(factName(name, fact.source, fact.id, ns));
    }
    after = page.next;
    end = page.end;
  }
  const codec = topicCodec("usage.accepted");
  const records = await engines.bus.parked.list({ limit: 100_000 });
  const parked = records
    .filter(({ topic }) => topic === "usage.accepted")
    .map(({ ns, account, bytes }) => {
      // What the codec of a topic decodes is of the topic's type.
      const { source, id } = codec.decode(bytes) as { readonly source: string; readonly id: string };
      return factName(account, source, id, ns);
    });
  return { recorded, parked };
}
