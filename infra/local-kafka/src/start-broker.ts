/**
 * Starts a real Apache Kafka broker as a process of this machine, on loopback, with everything it keeps in one directory.
 *
 * One node, broker and controller in one. Started again on the same directory it comes back with the same data on the same
 * port, also after a kill -9. For development and tests: one node is no place for the only copy of anything.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, closeSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { brokerJars, defaultCacheDirectory, missing, run } from "./jars.ts";

export interface BrokerOptions {
  /** Everything the broker keeps; created if need be. */
  readonly dataDirectory: string;
  /** Default: the port that this directory was used with before, else one that is free. */
  readonly port?: number;
  /** Where downloaded jars are kept. Default `~/.cache/rerate/kafka`. */
  readonly cacheDirectory?: string;
  /** Memory of the Java heap. Default 512. */
  readonly heapMegabytes?: number;
  /** How long the broker may take to answer. Default 60 s. */
  readonly startTimeoutMs?: number;
}

export interface Broker {
  /** For `KAFKA_BROKERS`: host and port. */
  readonly brokers: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the broker's process has ended, however it ended. */
  readonly ended: Promise<void>;
  /** Ends it in good order; with force when that takes more than 20 s. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
}

const HOST = "127.0.0.1";
const STARTED = "Kafka Server started";
const STOP_TIMEOUT_MS = 20_000;
const CHECK_EVERY_MS = 50;

/** Resolves when the broker answers. Throws a `MissingProgramError` without Java or Maven, and with the end of its output when it dies. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { cacheDirectory = defaultCacheDirectory(), heapMegabytes = 512, startTimeoutMs = 60_000 } = options;
  const directory = resolve(options.dataDirectory);
  mkdirSync(directory, { recursive: true });
  const classPath = join(await brokerJars(cacheDirectory), "*");
  const port = options.port ?? lastPort(directory) ?? (await freePort());
  const properties = join(directory, "kraft.properties");
  writeFileSync(properties, propertiesOf(directory, port, await freePort()));
  await format(classPath, directory, properties);

  const output = join(directory, "broker.log");
  const from = existsSync(output) ? statSync(output).size : 0;
  const file = openSync(output, "a");
  const child = spawn("java", [...JAVA_OPTIONS, `-Xmx${heapMegabytes}m`, "-cp", classPath, "kafka.Kafka", properties], {
    cwd: directory,
    stdio: ["ignore", file, file],
  });
  closeSync(file);
  const broker = await watch(child, port);
  const deadline = AbortSignal.timeout(startTimeoutMs);
  for (;;) {
    const said = readFileSync(output).subarray(from).toString();
    if (said.includes(STARTED)) return broker;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the broker did not start:\n${said.slice(-4_000)}`);
    if (deadline.aborted) {
      await broker.kill();
      throw new Error(`the broker did not answer within ${startTimeoutMs} ms:\n${said.slice(-4_000)}`);
    }
    await sleep(CHECK_EVERY_MS);
  }
}

const JAVA_OPTIONS = [
  "-Xms128m",
  "-XX:+UseSerialGC",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
];

/** Topics are created by command only; sessions and memory are those of a small machine. */
function propertiesOf(directory: string, port: number, controllerPort: number): string {
  const settings = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@${HOST}:${controllerPort}`,
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://${HOST}:${port}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": logDirectory(directory),
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    // After a kill the controller waits for the dead session before the broker may come back.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

function logDirectory(directory: string): string {
  return join(directory, "log");
}

function lastPort(directory: string): number | undefined {
  const properties = join(directory, "kraft.properties");
  if (!existsSync(properties)) return undefined;
  const port = /^listeners=PLAINTEXT:\/\/[^:]+:(\d+)/m.exec(readFileSync(properties, "utf8"))?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Gives the directory its cluster id, once. */
async function format(classPath: string, directory: string, properties: string): Promise<void> {
  if (existsSync(join(logDirectory(directory), "meta.properties"))) return;
  const clusterId = randomBytes(16).toString("base64url").replace(/^-/, "A");
  const command = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classPath, "kafka.tools.StorageTool", "format"];
  await run("java", [...command, "--ignore-formatted", "-t", clusterId, "-c", properties], "Java formats the broker's directory");
}

async function watch(child: ChildProcess, port: number): Promise<Broker> {
  const ended = new Promise<void>((settle) => child.once("exit", () => settle()));
  const pid = await new Promise<number>((settle, reject) => {
    child.once("error", (error) => reject(missing("java", "Java runs the broker", error)));
    child.once("spawn", () => settle(child.pid ?? 0));
  });
  return {
    brokers: `${HOST}:${port}`,
    port,
    pid,
    ended,
    async stop() {
      child.kill("SIGTERM");
      await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      child.kill("SIGKILL");
      await ended;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** A port of loopback that the operating system says is free. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((settle, reject) => {
    server.once("error", reject);
    server.listen(0, HOST, settle);
  });
  const address = server.address();
  await new Promise((settle) => server.close(settle));
  if (address === null || typeof address === "string") throw new Error("the operating system gave no port");
  return address.port;
}
