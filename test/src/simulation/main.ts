/**
 * The simulation's command.
 *
 *     node test/src/simulation/main.ts --seeds 2000 [--from 1] [--threads 2]   seeds in a row, on worker threads
 *     node test/src/simulation/main.ts --seed 17 [--verbose] [--calm]          one seed as in a row, with its story, or without faults
 *     node test/src/simulation/main.ts --seed 17 --thorough                    with read models and replay, as every fourth seed
 *                                                                              has them: another schedule, another story
 *     … --stream                                                               as on Kafka, which every third seed is in any case
 *     node test/src/simulation/main.ts --planted [--plant NAME]                how soon each planted bug is found
 *
 * Ends with "N seeds, N passed, N failed" and exit code 1 when any failed, each with the command that repeats it.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { findBug, PLANTED, soundRuns } from "./planted-bugs.ts";
import { runSeed, type SeedResult } from "./run-seed.ts";

/** Every so many-th seed runs twice: the same seed must do the same again. */
const TWICE_EVERY = 50;
const PROBLEMS_SHOWN = 6;
const FAILURES_SHOWN = 10;
const MOST_SEEDS_PER_BUG = 100;

interface Task {
  readonly seed: number;
  readonly stream: boolean | undefined;
}

interface Outcome {
  readonly seed: number;
  readonly problems: readonly string[];
  readonly events: number;
  readonly messages: number;
  readonly faults: number;
}

if (isMainThread) {
  process.exitCode = await main();
} else {
  parentPort?.on("message", ({ seed, stream }: Task) => {
    trySeed(seed, stream).then(
      (outcome) => parentPort?.postMessage(outcome, []),
      (error: unknown) =>
        parentPort?.postMessage({ seed, problems: [`threw ${String(error)}`], events: 0, messages: 0, faults: 0 }, []),
    );
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      from: { type: "string", default: "1" },
      threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
      seed: { type: "string" },
      verbose: { type: "boolean", default: false },
      calm: { type: "boolean", default: false },
      thorough: { type: "boolean" },
      stream: { type: "boolean" },
      planted: { type: "boolean", default: false },
      plant: { type: "string" },
    },
  });
  if (values.planted || values.plant !== undefined) return await runPlanted(values.plant, Number(values.from));
  if (values.seed !== undefined) return await runOne(Number(values.seed), values);
  return await runMany(Number(values.from), Number(values.seeds), Number(values.threads), values.stream);
}

async function trySeed(seed: number, stream: boolean | undefined): Promise<Outcome> {
  const options = stream === undefined ? { seed } : { seed, stream };
  const result = await runSeed(options);
  const problems = [...result.problems];
  if (seed % TWICE_EVERY === 0 && (await runSeed(options)).trace !== result.trace)
    problems.push("the same seed did something else the second time");
  return { seed, problems, events: result.events, messages: result.sends, faults: faultsOf(result) };
}

function faultsOf({ faults }: SeedResult): number {
  return [...faults.values()].reduce((sum, count) => sum + count, 0);
}

interface OneOptions {
  readonly verbose: boolean;
  readonly calm: boolean;
  readonly thorough?: boolean;
  readonly stream?: boolean;
}

async function runOne(seed: number, { verbose, calm, thorough, stream }: OneOptions): Promise<number> {
  const result = await runSeed({
    seed,
    calm,
    ...(thorough === undefined ? {} : { thorough }),
    ...(stream === undefined ? {} : { stream }),
    ...(verbose ? { tell: (line: string) => console.log(line) } : {}),
  });
  if (verbose) for (const [fault, count] of result.faults) console.log(`${fault}: ${count}`);
  for (const problem of result.problems) console.log(problem);
  const failed = result.problems.length > 0 ? 1 : 0;
  console.log(
    `${result.sends} messages, ${result.events} events, ${faultsOf(result)} faults, trace ${result.trace.slice(0, 16)}`,
  );
  console.log(`1 seeds, ${1 - failed} passed, ${failed} failed`);
  return failed;
}

async function runMany(from: number, count: number, threads: number, stream: boolean | undefined): Promise<number> {
  const started = performance.now();
  const failures: Outcome[] = [];
  let next = from;
  let done = 0;
  const sums = { events: 0, messages: 0, faults: 0 };

  function finished(outcome: Outcome): void {
    done += 1;
    sums.events += outcome.events;
    sums.messages += outcome.messages;
    sums.faults += outcome.faults;
    if (outcome.problems.length > 0) failures.push(outcome);
    if (done % Math.max(1, Math.floor(count / 10)) === 0)
      console.log(
        `${done} of ${count} seeds, ${failures.length} failed, ${((performance.now() - started) / 1_000).toFixed(0)} s`,
      );
  }

  const workers = Array.from({ length: Math.max(1, threads) }, () => new Worker(new URL(import.meta.url)));
  await Promise.all(
    workers.map(async (worker) => {
      while (next < from + count) {
        const seed = next;
        next += 1;
        finished(await answerOf(worker, { seed, stream }));
      }
      await worker.terminate();
    }),
  );
  failures.sort((a, b) => a.seed - b.seed);
  for (const { seed, problems } of failures.slice(0, FAILURES_SHOWN)) {
    console.log(
      `\nseed ${seed} failed; repeat it with: pnpm simulate --seed ${seed} --verbose${stream === true ? " --stream" : ""}`,
    );
    for (const problem of problems.slice(0, PROBLEMS_SHOWN)) console.log(`  ${problem}`);
    if (problems.length > PROBLEMS_SHOWN) console.log(`  and ${problems.length - PROBLEMS_SHOWN} more`);
  }
  if (failures.length > FAILURES_SHOWN)
    console.log(
      `\nalso failed: ${failures
        .slice(FAILURES_SHOWN)
        .map(({ seed }) => seed)
        .join(" ")}`,
    );
  console.log(
    `\n${sums.messages} messages, ${sums.events} events, ${sums.faults} faults in ${((performance.now() - started) / 1_000).toFixed(0)} s`,
  );
  console.log(`${count} seeds, ${count - failures.length} passed, ${failures.length} failed`);
  return failures.length > 0 ? 1 : 0;
}

function answerOf(worker: Worker, task: Task): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    worker.removeAllListeners().once("message", resolve).once("error", reject);
    worker.postMessage(task, []);
  });
}

/** Three searches per bug, from different seeds; prints the median number of seeds that they took. */
async function runPlanted(only: string | undefined, from: number): Promise<number> {
  const sound = soundRuns();
  let missed = 0;
  for (const name of only === undefined ? Object.keys(PLANTED) : [only]) {
    const found = [];
    for (const start of [from, from + 100, from + 200]) found.push(await findBug(name, start, MOST_SEEDS_PER_BUG, sound));
    const took = found.map((each) => each?.seeds ?? Infinity).toSorted((a, b) => a - b);
    if (took.includes(Infinity)) missed += 1;
    console.log(
      `${name}: found after ${took.join(", ")} seeds, median ${took[1]}; for example ${found[0]?.problem.slice(0, 120)}`,
    );
  }
  console.log(missed === 0 ? "every planted bug is found" : `${missed} planted bugs are missed`);
  return missed > 0 ? 1 : 0;
}
