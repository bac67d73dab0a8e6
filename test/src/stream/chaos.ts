/**
 * Kills and freezes processes of a stack, from a seed: kill -9 of services, of the broker and of the event store's front; and
 * settlement processes that are stopped until another one has taken over, and then wake up as zombies.
 *
 * Ends processes by their own ids and asserts after every kill that the port of the process is closed.
 */
import { sleep } from "@rerate/runtime";
import { SERVICES, type Child, type Stack, type Supervised } from "@rerate/stack";
import { seededRandom, type SeededRandom } from "@rerate/testkit";
import { Kafka, logLevel } from "kafkajs";
import { connect } from "node:net";

export interface ChaosPlan {
  readonly seed: number | string;
  /** Of random service processes. */
  readonly kills: number;
  readonly brokerKills: number;
  readonly frontKills: number;
  /** Of settlement processes. Needs two of them. */
  readonly freezes: number;
  /** Pause between two kills, of whatever kind. */
  readonly everyMs: number;
}

export interface ChaosCounts {
  readonly kills: Readonly<Record<string, number>>;
  readonly brokerKills: number;
  readonly frontKills: number;
  /** Processes that were frozen until another one had their partitions, and woke up after that. */
  readonly zombies: number;
  readonly closedPorts: number;
}

type Action = "service" | "broker" | "front";

const LOOK_EVERY_MS = 250;
/** A frozen process is taken for dead after its session's time; while brokers are killed, too, that takes longer. */
const TAKEN_OVER_WITHIN_MS = 120_000;

/** Resolves when all of it has been done. Rejects when a port stays open or nobody takes over. */
export async function disturb(stack: Stack, plan: ChaosPlan, say: (text: string) => void): Promise<ChaosCounts> {
  const random = seededRandom(plan.seed);
  const kills: Record<string, number> = {};
  const counts = { kills, brokerKills: 0, frontKills: 0, zombies: 0, closedPorts: 0 };
  let frozen: Child | undefined;

  async function kill(name: string, child: Child, pid: number, port: number): Promise<void> {
    process.kill(pid, "SIGKILL");
    await child.exited;
    if (await isOpen(port)) throw new Error(`port ${port} of ${name} is open after the kill of process ${pid}`);
    counts.closedPorts += 1;
    say(`killed ${name} (process ${pid}); its port ${port} is closed`);
  }

  async function killService(): Promise<void> {
    const victim = await aRunning(
      () => SERVICES.flatMap((service) => stack.processesOf(service)),
      random,
      () => frozen,
    );
    const service = victim.name.replace(/-\d+$/, "");
    await kill(victim.name, victim, victim.pid, portOf(String(victim.said["url"])));
    kills[service] = (kills[service] ?? 0) + 1;
  }

  async function killServer(one: Supervised | undefined, field: string): Promise<void> {
    if (one === undefined) throw new Error("only servers of the stack's own are killed");
    const child = await one.ready();
    // What started the broker is not the broker: it says whose process the server is.
    await kill(one.name, child, Number(child.said["pid"]), portOf(String(child.said[field])));
  }

  async function killAll(): Promise<void> {
    const actions: Action[] = [
      ...Array.from({ length: plan.kills }, (): Action => "service"),
      ...Array.from({ length: plan.brokerKills }, (): Action => "broker"),
      ...Array.from({ length: plan.frontKills }, (): Action => "front"),
    ];
    for (const action of random.shuffle(actions)) {
      await sleep(plan.everyMs);
      if (action === "service") await killService();
      else if (action === "broker") {
        await killServer(stack.broker, "brokers");
        counts.brokerKills += 1;
      } else {
        await killServer(stack.front, "connectionString");
        counts.frontKills += 1;
      }
    }
  }

  async function freezeAll(): Promise<void> {
    const choice = random.fork("freezes");
    for (let number = 0; number < plan.freezes; number++) {
      const victim = await aRunning(
        () => stack.processesOf("settlement"),
        choice,
        () => undefined,
      );
      frozen = victim;
      process.kill(victim.pid, "SIGSTOP");
      try {
        await takenOver(stack.brokers, victim.name);
        say(`${victim.name} (process ${victim.pid}) was frozen until its partitions were with others`);
      } finally {
        process.kill(victim.pid, "SIGCONT");
        frozen = undefined;
      }
      counts.zombies += 1;
      // It finds out that it is a zombie, and comes back.
      await sleep(plan.everyMs);
    }
  }

  await Promise.all([killAll(), freezeAll()]);
  return counts;
}

/** A process that runs now, waited for if need be; not the one that is excepted. */
async function aRunning(all: () => readonly Supervised[], random: SeededRandom, except: () => Child | undefined): Promise<Child> {
  for (;;) {
    const running = all().flatMap(({ child }) => (child?.isRunning === true && child !== except() ? [child] : []));
    if (running.length > 0) return random.pick(running);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Resolves when the group of settlement is complete without this process. */
async function takenOver(brokers: string, instance: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < TAKEN_OVER_WITHIN_MS; waitedMs += LOOK_EVERY_MS) {
    await sleep(LOOK_EVERY_MS);
    if (await isWithout(brokers, instance).catch(() => false)) return;
  }
  throw new Error(`nobody has taken over the partitions of ${instance}`);
}

async function isWithout(brokers: string, instance: string): Promise<boolean> {
  const { state, instances } = await membersOf(brokers, "settlement");
  return state === "Stable" && instances.length > 0 && !instances.includes(instance);
}

/** The processes that a group consists of now. Rejects while the brokers are down. */
export async function membersOf(
  brokers: string,
  group: string,
): Promise<{ readonly state: string; readonly instances: readonly string[] }> {
  const retry = { retries: 3, initialRetryTime: 100 };
  const kafka = new Kafka({ clientId: "chaos", brokers: brokers.split(","), logLevel: logLevel.NOTHING, retry });
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { state = "Dead", members = [] } = (await admin.describeGroups([group])).groups[0] ?? {};
    // A client's name is that of its service, then of its process, then what it is for.
    const instances = members.map(({ clientId }) => clientId.replace(`rerate-${group}-`, "").replace(`-${group}`, ""));
    return { state, instances: instances.toSorted() };
  } finally {
    await admin.disconnect();
  }
}

function portOf(address: string): number {
  const port = /:(\d+)(?:[/?]|$)/.exec(address)?.[1];
  if (port === undefined) throw new Error(`${address} names no port`);
  return Number(port);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
