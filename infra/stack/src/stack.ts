/**
 * Everything on one machine, each part a process of its own: a real Kafka broker, the gRPC front with a durable log, the six
 * services in any number, and a gateway. For trying it out and for tests; production runs the same services elsewhere.
 *
 * Brokers or an event store given from outside are used instead of own ones. A service that ends is started again.
 */
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { startChild, type Child } from "./child.ts";
import { runCommand } from "./command.ts";
import { startGateway, type Gateway, type ServiceName } from "./gateway.ts";

export const SERVICES: readonly ServiceName[] = ["catalog", "ingest", "outcome-signal", "settlement", "wallet", "books"];

export interface StackOptions {
  readonly dataDirectory: string;
  /** How many processes of each service. Default one of each. */
  readonly processes?: Partial<Readonly<Record<ServiceName, number>>>;
  /** Port of the gateway; 0 takes a free one. */
  readonly port?: number;
  readonly partitions?: number;
  /** Used instead of a broker and a front of its own. */
  readonly brokers?: string | undefined;
  readonly eventStoreUrl?: string | undefined;
  /** Further environment of the services. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Told of everything that starts and ends. */
  readonly onEvent?: (event: StackEvent) => void;
}

export type StackEvent =
  | { readonly kind: "ready"; readonly name: string; readonly pid: number }
  | { readonly kind: "ended"; readonly name: string; readonly pid: number; readonly how: string };

export interface Stack {
  readonly url: string;
  readonly brokers: string;
  readonly eventStoreUrl: string;
  /** Environment with which another process of a service, or the command line, joins in. */
  readonly environment: Readonly<Record<string, string>>;
  readonly broker: Supervised | undefined;
  readonly front: Supervised | undefined;
  /** The processes of a service, in the order of their start. */
  processesOf(service: ServiceName): readonly Supervised[];
  /** Starts one more process of a service. */
  add(service: ServiceName): Promise<Supervised>;
  stop(): Promise<void>;
}

/** A process that is started again, with the same data, whenever it ends without being told to. */
export interface Supervised {
  readonly name: string;
  readonly child: Child | undefined;
  /** Resolves when it is ready, again. */
  ready(): Promise<Child>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "..", "..", "..");
const AGAIN_AFTER_MS = 300;
const AGAIN_AT_MOST_MS = 5_000;

export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDirectory, partitions = 12, processes = {} } = options;
  const logs = join(dataDirectory, "logs");
  mkdirSync(logs, { recursive: true });
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).toReversed()) await end();
  };
  const supervised = async (name: string, script: string, given: readonly string[], environment = {}): Promise<Supervised> => {
    const one = supervise(
      () => startChild({ name, script: join(ROOT, script), arguments: given, environment, logFile: join(logs, `${name}.log`) }),
      name,
      options.onEvent ?? (() => {}),
    );
    stops.push(() => one.stop());
    await one.ready();
    return one;
  };
  try {
    const [broker, front] = await Promise.all([
      options.brokers === undefined
        ? supervised("kafka", KAFKA, ["--data", join(dataDirectory, "kafka"), "--port", await freePort()])
        : undefined,
      options.eventStoreUrl === undefined
        ? supervised("event-store", FRONT, ["--data", join(dataDirectory, "event-store"), "--port", await freePort()])
        : undefined,
    ]);
    const brokers = options.brokers ?? said(broker, "brokers");
    const eventStoreUrl = options.eventStoreUrl ?? said(front, "connectionString");
    const environment = {
      ...options.environment,
      KAFKA_BROKERS: brokers,
      EVENTSTOREDB_URL: eventStoreUrl,
      RERATE_PARTITIONS: String(partitions),
      RERATE_DATA: join(dataDirectory, "services"),
    };
    await createTopics(environment);
    const running = new Map<ServiceName, Supervised[]>(SERVICES.map((service) => [service, []]));
    const started = new Map<ServiceName, number>();
    const add = async (service: ServiceName): Promise<Supervised> => {
      // Counted before it is ready: several start at once, and each has a name of its own.
      const number = (started.get(service) ?? 0) + 1;
      started.set(service, number);
      const name = `${service}-${number}`;
      const own = { RERATE_PORT: "0", RERATE_INSTANCE: name, ...environment };
      const one = await supervised(name, `services/${service}/src/main.ts`, [], own);
      running.get(service)?.push(one);
      return one;
    };
    await Promise.all(SERVICES.flatMap((service) => Array.from({ length: processes[service] ?? 1 }, () => add(service))));
    const gateway: Gateway = await startGateway(options.port ?? 0, (service) => {
      const child = running.get(service)?.find((one) => one.child?.isRunning === true)?.child;
      return child === undefined ? undefined : String(child.said["url"]);
    });
    stops.push(() => gateway.close());
    return {
      url: gateway.url,
      brokers,
      eventStoreUrl,
      environment,
      broker,
      front,
      processesOf: (service) => running.get(service) ?? [],
      add,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const KAFKA = "infra/local-kafka/src/main.ts";
const FRONT = "infra/event-store-front/src/main.ts";

/** Creates what is missing, by the same command that an operator uses. */
async function createTopics(environment: Readonly<Record<string, string>>): Promise<void> {
  await runCommand(join(ROOT, "packages/cli/rerate.mjs"), ["topics", "create"], environment);
}

function said(one: Supervised | undefined, field: string): string {
  const value = one?.child?.said[field];
  if (typeof value !== "string") throw new Error(`${one?.name ?? "a process"} did not say its ${field}`);
  return value;
}

function supervise(start: () => Promise<Child>, name: string, tell: (event: StackEvent) => void): Supervised {
  let child: Child | undefined;
  let starting: Promise<Child> | undefined;
  let stopped = false;
  let failures = 0;

  async function run(): Promise<Child> {
    for (;;) {
      try {
        const started = await start();
        child = started;
        failures = 0;
        tell({ kind: "ready", name, pid: started.pid });
        void goOnAfter(started);
        if (stopped) await started.stop();
        return started;
      } catch (error) {
        failures += 1;
        if (stopped || failures > MOST_FAILURES) throw error;
        await pause(Math.min(AGAIN_AFTER_MS * 2 ** failures, AGAIN_AT_MOST_MS));
      }
    }
  }

  async function goOnAfter(started: Child): Promise<void> {
    const { code, signal } = await started.exited;
    tell({ kind: "ended", name, pid: started.pid, how: String(signal ?? code) });
    if (!stopped) again();
  }

  function again(): void {
    starting = pause(AGAIN_AFTER_MS).then(run);
    starting.catch((error: unknown) => tell({ kind: "ended", name, pid: 0, how: `for good: ${String(error)}` }));
  }

  starting = run();
  return {
    name,
    get child() {
      return child;
    },
    async ready() {
      // It may have ended again while we waited.
      for (;;) {
        const ready = await starting;
        if (ready?.isRunning === true || stopped) return ready as Child;
        await pause(50);
      }
    },
    async stop() {
      stopped = true;
      await starting?.catch(() => undefined);
      await child?.stop();
    },
  };
}

const MOST_FAILURES = 20;

/** A port that is free now. Chosen once: whatever is started again must be found where it was. */
function freePort(): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(String(typeof address === "object" ? address?.port : address)));
    });
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
