import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { EventStore } from "@rerate/event-store";
import { describeEventStore, endOfLog, openRoom } from "@rerate/event-store/conformance";
import { openEventStoreDb } from "@rerate/event-store/eventstoredb";
import { afterAll, describe, expect, it } from "vitest";

interface Ready {
  readonly port: number;
  readonly control: number;
  readonly connectionString: string;
}

interface Running extends Ready {
  readonly process: ChildProcess;
}

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "rerate-front-"));
  directories.push(directory);
  return directory;
}

/** The front as a process of its own. */
async function run(data: string, port = 0): Promise<Running> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "main.ts"), "--data", data, "--port", String(port), "--control", "0"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { ...(JSON.parse(line) as Ready), process: child };
}

async function end({ process: child }: Running, signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
  const gone = once(child, "exit");
  child.kill(signal);
  return ((await gone) as [number | null])[0];
}

async function put(front: Running, settings: object): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${front.control}/faults`, { method: "PUT", body: JSON.stringify(settings) });
  expect(response.ok).toBe(true);
}

const rooms = { opened: 0 };
/** Names that no earlier run on the same server has used. */
const RUN = `t${process.pid.toString(36)}${process.hrtime.bigint().toString(36)}`;

/** A room of its own for each test on one server. `again` gives the server to be used after a while without it. */
async function openRoomOn(connectionString: string, again: () => Promise<string>) {
  rooms.opened += 1;
  const room = `${RUN}${rooms.opened}.`;
  const store = openEventStoreDb({ connectionString });
  const start = await endOfLog(store);
  return {
    store: openRoom(store, room, start),
    async reopen() {
      await store.close();
      return openRoom(openEventStoreDb({ connectionString: await again() }), room, start);
    },
    close: () => store.close(),
  };
}

describe("the front as a process on a file", () => {
  const data = newDirectory();
  let front: Running | undefined;
  const connectionString = async () => (front ??= await run(data)).connectionString;
  const killed = async () => {
    if (front !== undefined) await end(front, "SIGKILL");
    front = await run(data, front?.port);
    return front.connectionString;
  };
  afterAll(async () => {
    if (front !== undefined) await end(front, "SIGTERM");
  });
  describeEventStore({ describe, it, expect }, "EventStoreDB on the front over a file", async () =>
    openRoomOn(await connectionString(), killed),
  );
});

const given = process.env["EVENTSTOREDB_URL"];
if (given === undefined) {
  console.log("EventStoreDB: served by the front; 0 suites on a real server, for EVENTSTOREDB_URL is not set");
} else {
  console.log("EventStoreDB: served by the front, and by the server of EVENTSTOREDB_URL");
  describeEventStore({ describe, it, expect }, "EventStoreDB on the server of EVENTSTOREDB_URL", () =>
    openRoomOn(given, async () => given),
  );
}

describe("a store on a server that dies", () => {
  const deadlineMs = 4_000;

  async function start() {
    const data = newDirectory();
    const front = await run(data);
    const store = openEventStoreDb({ connectionString: front.connectionString, deadlineMs });
    const seen: string[] = [];
    const subscription = store.subscribeAll({
      prefixes: ["a-"],
      onEvents: ({ events }) => void seen.push(...events.map(({ stream, revision }) => `${stream} ${revision}`)),
    });
    return { data, front, store, seen, subscription };
  }

  const numbered = (stream: string, from: number) => ({
    stream,
    expectedRevision: from - 1,
    events: [0, 1].map((index) => ({ type: "Counted", data: `{"n":${from + index}}`, metadata: "{}" })),
  });

  /** Writes 2 × `rounds` events to a stream, each append until its outcome is known. */
  async function write(store: EventStore, stream: string, rounds: number, longest: { ms: number }): Promise<void> {
    for (let round = 0; round < rounds;) {
      const before = performance.now();
      const [result] = await store.append([numbered(stream, round * 2)]);
      longest.ms = Math.max(longest.ms, performance.now() - before);
      if (result?.kind === "committed") round += 1;
      else expect(result?.kind).toBe("unknown");
    }
  }

  const streams = Array.from({ length: 30 }, (_, index) => `a-${index}`);
  const rounds = 40;

  async function expectAll(store: EventStore, seen: readonly string[]): Promise<void> {
    const all = (await store.readAll({ maxCount: 100_000 })).events;
    expect(all.length).toBe(streams.length * rounds * 2);
    for (const stream of streams) {
      const data = (await store.readForward(stream, { maxCount: 1_000 })).map((event) => event.data);
      expect(data).toEqual(Array.from({ length: rounds * 2 }, (_, n) => `{"n":${n}}`));
    }
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(all.length);
    expect(seen).toEqual(all.map(({ stream, revision }) => `${stream} ${revision}`));
  }

  it("has every event exactly once after it was killed again and again, and faults in between", async () => {
    const { data, front, store, seen, subscription } = await start();
    const longest = { ms: 0 };
    const running = { front, is: true };
    const kills = (async () => {
      for (let kill = 0; kill < 4 && running.is; kill++) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        await end(running.front, "SIGKILL");
        running.front = await run(data, front.port);
        await put(running.front, { chaosSeed: kill + 1, chaosOneIn: 80 });
      }
    })();
    await Promise.all(streams.map((stream) => write(store, stream, rounds, longest)));
    running.is = false;
    await kills;
    await put(running.front, { chaosOneIn: 0 });
    expect(longest.ms).toBeLessThan(deadlineMs * 1.1);
    await expectAll(store, seen);
    await subscription.stop();
    await store.close();
    await end(running.front, "SIGTERM");
  });

  it("answers within the deadline while it is frozen, and goes on when it thaws", async () => {
    const { front, store, seen, subscription } = await start();
    const longest = { ms: 0 };
    const writing = Promise.all(streams.map((stream) => write(store, stream, rounds, longest)));
    front.process.kill("SIGSTOP");
    const [frozen] = await store.append([numbered("b-1", 0)]);
    expect(frozen?.kind).toBe("unknown");
    front.process.kill("SIGCONT");
    await writing;
    expect((await store.append([numbered("b-1", 0)]))[0]).toEqual({ kind: "committed", lastRevision: 1 });
    expect((await store.readForward("b-1", { maxCount: 10 })).length).toBe(2);
    expect(longest.ms).toBeLessThan(deadlineMs * 1.1);
    await expect.poll(() => seen.length, { timeout: 15_000 }).toBe(streams.length * rounds * 2);
    await subscription.stop();
    await store.close();
    expect(await end(front, "SIGTERM")).toBe(0);
  });
});
