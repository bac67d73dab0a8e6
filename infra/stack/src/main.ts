/**
 * `node infra/stack/src/main.ts --data DIR [--port N] [--processes settlement=2,wallet=2]`: runs everything on this machine until
 * it is told to stop.
 */
import { parseArgs } from "node:util";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { SERVICES, startStack } from "./stack.ts";

const HELP = `Runs Kafka, the event store's front, all services and a gateway on this machine, each as a process of its own.

  --data DIR       where all of it keeps its data (absolute; default: a new temporary directory)
  --port N         port of the gateway (default 7373; 0 takes a free one)
  --processes LIST how many processes of which service, for example settlement=2,wallet=2 (default: one of each)

KAFKA_BROKERS and EVENTSTOREDB_URL name servers to use instead of own ones.
`;

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    port: { type: "string", default: "7373" },
    processes: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) process.stdout.write(HELP);
else await run();

async function run(): Promise<void> {
  const dataDirectory = values.data ?? mkdtempSync(join(tmpdir(), "rerate-stack-"));
  if (!isAbsolute(dataDirectory)) throw new Error(`--data must be an absolute path, and this is ${dataDirectory}`);
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  note(
    `Starting Kafka, the event store's front and ${SERVICES.length} services; their logs go to ${join(dataDirectory, "logs")}.`,
  );
  const stack = await startStack({
    dataDirectory,
    port: Number(values.port),
    processes: Object.fromEntries(
      values.processes.split(",").flatMap((part) => {
        const [service, count] = part.split("=");
        return service === undefined || service === "" ? [] : [[service, Number(count)]];
      }),
    ),
    brokers: process.env["KAFKA_BROKERS"],
    eventStoreUrl: process.env["EVENTSTOREDB_URL"],
    onEvent: (event) =>
      note(event.kind === "ready" ? `${event.name} is ready (process ${event.pid})` : `${event.name} ended: ${event.how}`),
  });
  const { url, brokers, eventStoreUrl } = stack;
  process.stdout.write(`${JSON.stringify({ url, brokers, eventStoreUrl, dataDirectory, pid: process.pid })}\n`);
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      note("Stopping. The data stays; the same --data goes on where this ended.");
      void stack.stop().then(() => process.exit(0));
    });
  }
}
