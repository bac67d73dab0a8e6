/**
 * The start command as a new user meets it, and what it does when it is stopped, killed, started twice, or started wrongly. Every
 * start is a process of its own.
 */
import { createClient, type RerateClient } from "@rerate/client";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort, runRerate, runStart, startProcess, type Finished, type StartedProcess } from "./started-process.ts";
import { audit, factName, factsInside, startTrial } from "./trial.ts";

/** 19,366 requests of the trace and as many agent tasks as the bundled files have, each once. */
const TRACE = { name: "Azure conversation trace at gpt-4-turbo prices", actual: "346.27865", equal: true };
const TASKS = { name: "Agent tasks at 0.99 per resolved task", actual: "18827.82", equal: true };

let directory: string;
let running: StartedProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rerate-start-"));
});

afterEach(async () => {
  for (const started of running) {
    started.signal("SIGKILL");
    await started.finished;
  }
  running = [];
  rmSync(directory, { recursive: true, force: true });
});

/** One after the other. */
async function inTurn<From, To>(list: readonly From[], act: (item: From) => Promise<To>): Promise<To[]> {
  const results: To[] = [];
  for (const item of list) results.push(await act(item));
  return results;
}

const environment = (port: number | string = 0) => ({ RERATE_DATA: directory, RERATE_PORT: String(port) });

function start(options: readonly string[], port?: number): StartedProcess {
  const started = startProcess(options, environment(port));
  running.push(started);
  return started;
}

interface Summary {
  readonly url: string;
  readonly imported: number;
  readonly ok: boolean;
  readonly totals: readonly {
    readonly name: string;
    readonly expected: string;
    readonly actual: string;
    readonly equal: boolean;
  }[];
}

/** The one JSON document on standard output. */
function summaryOf({ out }: Pick<Finished, "out">): Summary {
  expect(out.trim().split("\n")).toHaveLength(1);
  return JSON.parse(out) as Summary;
}

async function importToTheEnd(): Promise<Summary> {
  const finished = await runStart(["--exit", "--json"], environment());
  expect([finished.code, finished.err]).toEqual([0, ""]);
  const summary = summaryOf(finished);
  expect(summary).toMatchObject({ ok: true, totals: [TRACE, TASKS] });
  return summary;
}

describe("the first start and those after it", () => {
  test("import once, print one JSON document with equal totals, and keep the data", async () => {
    const first = await importToTheEnd();
    expect(first.imported).toBeGreaterThan(19_366);
    const started = performance.now();
    const second = await importToTheEnd();
    const seconds = (performance.now() - started) / 1000;
    expect(second.imported).toBe(0);
    expect(seconds).toBeLessThan(10);
    console.info(`the second start took ${seconds.toFixed(1)} s and imported nothing`);

    const serving = start([]);
    await serving.says("Ctrl-C stops");
    const said = serving.out();
    const url = /Rerate serves (\S+)/.exec(said)?.[1] ?? "";
    expect(said).toContain("nothing was imported again");
    expect(said).toContain(`Data: ${directory}`);
    expect(said).toMatch(/reset/);
    expect(said.match(/^ {2}npx rerate .+$/gm)).toHaveLength(3);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(url)).headers.get("content-type")).toContain("text/html");

    // The three lines are to be copied: a charge, a refund, an invoice.
    const [usage, signal, invoice] = await inTurn(said.match(/^ {2}npx rerate .+$/gm) ?? [], runRerate);
    for (const finished of [usage, signal, invoice]) expect([finished?.code, finished?.err]).toEqual([0, ""]);
    expect(usage?.out).toMatch(/812 input_tokens × 0\.0000025 USD = 0\.00203 USD[^]*charge|charge[^]*0\.00407 USD/);
    expect(signal?.out).toMatch(/refund[^]*-0\.00407 USD/);
    expect(invoice?.out).toMatch(/Invoice of demo[^]*chat-tokens[^]*0\.00407[^]*-0\.00407/);
    expect((await runRerate(`npx rerate invoice nobody --url ${url}`)).code).toBe(4);

    // A start while one runs says so, with its address, and does no harm.
    const beside = await runStart([], environment());
    expect(beside.code).toBe(3);
    expect(beside.err).toContain("already running");
    expect(beside.err).toContain(url);
    expect(beside.err).toContain("RERATE_DATA");
    expect(beside.out).toBe("");
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    // An audit beside the running server.
    expect(await audit(directory)).toMatchObject({ ok: true, problems: [], projections: "equal" });

    serving.signal("SIGINT");
    const stopped = await serving.finished;
    expect([stopped.code, stopped.err]).toEqual([0, expect.stringContaining("npx -y pnpm@12 start")]);

    // What can be built again may be thrown away: the answers are the same.
    for (const file of ["cache.db", "views.db"]) rmSync(join(directory, file));
    expect((await importToTheEnd()).imported).toBe(0);
    expect(await audit(directory)).toMatchObject({ ok: true, projections: "equal" });
  });
});

describe("a start that is interrupted", () => {
  /** Where the import is: asked of the server itself. */
  const until = async (
    client: RerateClient,
    reached: (totals: { readonly facts: number; readonly signals: number }) => boolean,
  ) => {
    await expect
      .poll(async () => client.totals({ limit: 1 }).then(reached, () => false), { timeout: 60_000, interval: 15 })
      .toBe(true);
  };

  test("by kill -9, thrice in the middle of the import, goes on where it was: totals equal, nothing twice", async () => {
    const points: readonly Parameters<typeof until>[1][] = [
      ({ facts }) => facts >= 2_000,
      ({ facts }) => facts >= 25_000,
      ({ signals }) => signals >= 500,
    ];
    for (const reached of points) {
      const port = await freePort();
      const importing = start(["--json"], port);
      await until(createClient({ url: `http://127.0.0.1:${port}` }), reached);
      importing.signal("SIGKILL");
      expect((await importing.finished).out).toBe("");
    }
    const { imported } = await importToTheEnd();
    console.info(`the start after three kills sent ${imported} facts and signals again or anew`);
    const whole = await factsOnDisk();
    expect(new Set(whole.recorded).size).toBe(whole.recorded.length);
    expect(whole.parked).toEqual([]);
    expect(await audit(directory)).toMatchObject({ ok: true, problems: [], projections: "equal" });
  });

  test("by Ctrl-C in the middle of the import, ends cleanly, says how to go on, and goes on", async () => {
    const port = await freePort();
    const importing = start([], port);
    await until(createClient({ url: `http://127.0.0.1:${port}` }), ({ facts }) => facts >= 3_000);
    importing.signal("SIGINT");
    const stopped = await importing.finished;
    expect(stopped.err).toContain("npx -y pnpm@12 start");
    expect(stopped.err).not.toMatch(/\bat .*:\d+:\d+|Error/);
    expect(stopped.code).toBe(0);
    await importToTheEnd();
    expect(await audit(directory)).toMatchObject({ ok: true, problems: [] });
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`by ${signal} while requests are in flight: what was acknowledged is there`, async () => {
      const port = await freePort();
      const serving = start(["--empty"], port);
      await serving.says("Ctrl-C stops");
      const client = createClient({ url: `http://127.0.0.1:${port}` });
      const acknowledged: string[] = [];
      const senders = Array.from({ length: 16 }, async (_, sender) => {
        for (let n = 0; ; n += 1) {
          const batch = Array.from({ length: 7 }, (_event, index) => eventOf(`${sender}-${n}-${index}`));
          try {
            await client.sendUsage(batch);
          } catch {
            return;
          }
          acknowledged.push(...batch.map(({ source, id, subject }) => factName(subject, source, id)));
        }
      });
      await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(2_000);
      serving.signal(signal);
      const { code } = await serving.finished;
      expect(code).toBe(signal === "SIGTERM" ? 0 : undefined);
      await Promise.all(senders);
      const { recorded, parked } = await factsOnDisk();
      const kept = new Set([...recorded, ...parked]);
      console.info(`${signal}: ${acknowledged.length} facts acknowledged, ${kept.size} kept`);
      expect(acknowledged.filter((name) => !kept.has(name))).toEqual([]);
      expect(kept.size).toBe(recorded.length + parked.length);
    });
  }
});

function eventOf(id: string) {
  return {
    specversion: "1.0",
    type: "llm",
    source: "flood",
    id,
    subject: "flooded",
    data: { model: "m", input_tokens: 1 },
  } as const;
}

/** Starts on the data once more, inside this process, and reads what became of every fact. */
async function factsOnDisk(): Promise<Awaited<ReturnType<typeof factsInside>>> {
  const trial = await startTrial({}, directory);
  try {
    await trial.settled();
    return await factsInside(trial.standalone());
  } finally {
    await trial.stop();
  }
}

describe("a start that cannot be", () => {
  test("on a port that is taken names it, says what to do, and leaves the directory free", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, out, err } = await runStart(["--empty"], environment(port));
    expect(code).toBe(4);
    expect(err).toContain(`Port ${port}`);
    expect(err).toContain("RERATE_PORT");
    expect(err).not.toMatch(/\bat .*:\d+:\d+/);
    expect(out).toBe("");
    taken.close();
    expect((await runStart(["--empty", "--exit", "--json"], environment())).code).toBe(0);
  });

  test("with an unknown option shows the help and exits with 2; --help exits with 0", async () => {
    const wrong = await runStart(["--exti"], environment());
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain("unknown option --exti");
    expect(wrong.out).toContain("--exit");
    const help = await runStart(["--help"], environment());
    expect([help.code, help.err]).toEqual([0, ""]);
    for (const word of ["--exit", "--json", "--empty", "RERATE_DATA", "Ctrl-C"]) expect(help.out).toContain(word);
  });

  test("in an environment that cannot be used lists everything that is wrong with it", async () => {
    const { code, err } = await runStart(["--exit"], {
      RERATE_DATA: "relative/path",
      RERATE_PORT: "70000",
      RERATE_LOG_LEVEL: "loud",
    });
    expect(code).toBe(2);
    for (const name of ["RERATE_DATA", "RERATE_PORT", "RERATE_LOG_LEVEL"]) expect(err).toContain(name);
    const open = await runStart(["--exit", "--empty"], { ...environment(), RERATE_HOST: "0.0.0.0" });
    expect(open.code).toBe(2);
    expect(open.err).toContain("npx rerate keys create");
    expect(open.err).not.toMatch(/\bat .*:\d+:\d+/);
  });

  test("where the directory cannot be written says so", async () => {
    const file = join(directory, "a file");
    writeFileSync(file, "not a directory");
    const { code, err } = await runStart(["--exit", "--empty"], { RERATE_DATA: join(file, "data"), RERATE_PORT: "0" });
    expect(code).not.toBe(0);
    expect(err).toContain(join(file, "data"));
    expect(err).not.toMatch(/\bat .*:\d+:\d+/);
  });
});
