import { instant } from "@rerate/money";
import { copyAndAlter, openEmbedded } from "@rerate/runtime";
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { buildProgram, runCommandLine } from "./program.ts";
import type { Surroundings } from "./command-line.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

type Answers = Readonly<Record<string, unknown>>;

/** Runs a command line against a server that gives these answers by "METHOD path" (without the query). */
async function run(words: readonly string[], answers: Answers = {}, more: Partial<Surroundings> = {}) {
  const asked: Asked[] = [];
  let [out, err] = ["", ""];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? "GET";
    asked.push({
      method,
      path: `${url.pathname}${url.search}`,
      body: typeof init?.body === "string" ? readBody(init.body) : undefined,
    });
    const answer = answers[`${method} ${url.pathname}`];
    if (answer instanceof Error) throw answer;
    if (answer instanceof Response) return answer.clone();
    return answer === undefined
      ? Response.json({ title: "Not Found", detail: "nothing here" }, { status: 404 })
      : Response.json(answer);
  };
  const exit = await runCommandLine(words, {
    config: { url: "http://127.0.0.1:7373", key: undefined, dataDirectory: "/nowhere" },
    now: () => instant("2026-11-21T12:00:00Z"),
    elapsedMs: () => 0,
    sleep: async () => undefined,
    newId: () => "new-id",
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    live: false,
    fetch,
    ...more,
  });
  return { exit, out, err, asked };
}

function readBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "rerate-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const ENTRY = {
  n: 1,
  kind: "charge",
  item: "chat-tokens",
  unit: "USD",
  amount: "0.01424",
  exact: "14240000",
  source: "rerate-cli",
  id: "new-id",
  occurredAt: "2026-11-21T12:00:00.000000000Z",
  recordedAt: "2026-11-21T12:00:00.000000000Z",
  period: "2026-11",
  model: "tokens@1",
  revision: 2,
};
const EXPLAINED = {
  entry: ENTRY,
  lines: ["812 input × 10 + 204 output × 30"],
  accumulator: {
    item: "chat-tokens",
    version: "v",
    period: "2026-11",
    cell: "",
    measure: "14240000",
    measureUnit: "atoms",
    before: "0",
    after: "14240000",
  },
  exact: "14240000",
  amount: "0.01424",
};

describe("the command line", () => {
  test("sends usage, waits, and prints the charge with its arithmetic", async () => {
    const { exit, out, asked } = await run(
      ["usage", "send", "--account", "demo", "--model", "gpt-4-turbo", "--input", "812", "--output", "204"],
      {
        "POST /api/v1/events": {
          accepted: 1,
          answers: [{ source: "rerate-cli", id: "new-id", status: "recorded", revision: 0 }],
        },
        "GET /v1/accounts/demo/entries": { entries: [ENTRY] },
        "GET /v1/accounts/demo/entries/1/explanation": EXPLAINED,
      },
    );
    expect(exit).toBe(0);
    expect(asked[0]?.body).toEqual({
      specversion: "1.0",
      type: "llm.completion",
      source: "rerate-cli",
      id: "new-id",
      subject: "demo",
      data: { model: "gpt-4-turbo", input_tokens: "812", output_tokens: "204" },
    });
    expect(out).toContain("Entry 1: charge chat-tokens, 0.01424 USD");
    expect(out).toContain("812 input × 10 + 204 output × 30");
  });

  test("a parked fact ends with 5 and says what to do", async () => {
    const { exit, out } = await run(["usage", "send", "--account", "demo", "--model", "x"], {
      "POST /api/v1/events": {
        accepted: 1,
        answers: [{ source: "rerate-cli", id: "new-id", status: "parked", detail: 'account "demo" is not open' }],
      },
    });
    expect(exit).toBe(5);
    expect(out).toContain("rerate parked retry");
  });

  test("prints one JSON document with --json, wherever the option stands", async () => {
    const balance = { account: "acme", currency: "USD", wallet: "acme", units: [], asOf: {} };
    for (const words of [
      ["--json", "balance", "acme"],
      ["balance", "acme", "--json"],
    ]) {
      const { exit, out } = await run(words, { "GET /v1/accounts/acme/balance": balance });
      expect(exit).toBe(0);
      expect(JSON.parse(out)).toEqual(balance);
    }
  });

  test("opens an account on a plan in one go", async () => {
    const { exit, asked } = await run(["account", "open", "acme", "--plan", "chat"], {
      "POST /v1/accounts": { status: "recorded" },
      "PUT /v1/accounts/acme/plan": { status: "recorded" },
    });
    expect(exit).toBe(0);
    expect(asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", "/v1/accounts", { account: "acme", currency: "USD" }],
      ["PUT", "/v1/accounts/acme/plan", { planId: "chat" }],
    ]);
  });

  test.each([
    [["balance", "nobody"], {}, 4, "account list"],
    [["balance", "acme"], { "GET /v1/accounts/acme/balance": new TypeError("fetch failed") }, 3, "pnpm start"],
    [
      ["balance", "acme"],
      { "GET /v1/accounts/acme/balance": Response.json({ title: "Unauthorized", detail: "" }, { status: 401 }) },
      5,
      "--key",
    ],
    [["balance"], {}, 2, "missing required argument"],
    [["nonsense"], {}, 2, "unknown command"],
    [["usage"], {}, 2, "rerate usage send"],
    [["entries", "acme", "--limit", "many"], {}, 2, "not a whole number"],
    [["document", "publish", "/no/such/file"], {}, 2, "Check the path"],
    [["verify", "--log", "ftp://x"], {}, 2, "file:"],
    [["verify"], {}, 4, "there is no ledger.db in /nowhere"],
    [["import", "usage", "x.csv", "--preset", "unknown"], {}, 2, "azure and mooncake"],
    [["parked", "retry"], {}, 2, "--all"],
  ] as const)("%j ends as documented, with what to do", async (words, answers, exit, hint) => {
    const ended = await run(words, answers);
    expect(ended.err).toContain(hint);
    expect(ended.exit).toBe(exit);
    expect(ended.out).toBe("");
  });

  test("errors are a JSON document too, with --json", async () => {
    const { exit, out, err } = await run(["--json", "balance", "nobody"]);
    expect(exit).toBe(4);
    expect(JSON.parse(out)).toMatchObject({ error: { exitCode: 4 } });
    expect(err).toBe("");
  });

  test("an invalid document ends with 1 and lists places", async () => {
    const file = join(temporaryDirectory(), "plan.yaml");
    writeFileSync(file, "kind: plan\n");
    const problems = [{ path: "id", line: 1, column: 1, message: "is missing" }];
    const { exit, out } = await run(["document", "validate", file], {
      "POST /v1/documents/validate": { valid: false, problems },
    });
    expect(exit).toBe(1);
    expect(out).toBe(`${file}:1:1: id: is missing\n`);
  });

  test("imports a CSV in batches, holds the accounts' deadlines meanwhile, and sums up", async () => {
    const file = join(temporaryDirectory(), "usage.csv");
    writeFileSync(file, "request,tenant,toks\nr1,a,10\nr2,b,20\nr3,a,30\n");
    const answers = ["r1", "r2", "r3"].map((id) => ({ source: "import", id, status: id === "r2" ? "duplicate" : "recorded" }));
    const { exit, out, asked } = await run(
      [
        "import",
        "usage",
        file,
        "--map",
        "id=request",
        "--map",
        "account=tenant",
        "--map",
        "input_tokens=toks",
        "--set",
        "model=gpt-4o",
      ],
      { "POST /api/v1/events": { accepted: 3, answers }, "POST /v1/imports": { accepted: 1 } },
    );
    expect(exit).toBe(0);
    expect(out).toBe("usage: 3 sent: 2 recorded, 1 duplicates, 0 parked\n");
    expect(
      asked.map(({ path, body }) =>
        path === "/v1/imports" ? [(body as Record<string, string>)["account"], (body as Record<string, string>)["phase"]] : path,
      ),
    ).toEqual([["a", "started"], ["b", "started"], "/api/v1/events", ["a", "ended"], ["b", "ended"]]);
    expect(asked[2]?.body).toMatchObject([
      { id: "r1", subject: "a", data: { input_tokens: "10", model: "gpt-4o" } },
      { id: "r2" },
      { id: "r3" },
    ]);
  });

  test("verifies a log from the disk, and ends with 1 when a byte of it changed", async () => {
    const directory = temporaryDirectory();
    const engines = openEmbedded({
      dataDirectory: directory,
      partitions: 1,
      topics: [],
      logTopics: [],
      onDiskFailure: () => undefined,
    });
    const stream = "key-00.default.keys";
    const sealed = (id: string, link: string) => {
      return { type: "KeyRevoked", data: `{"id":"${id}"}`, metadata: `{"at":"2026-01-01T00:00:00.000000000Z","prev":"${link}"}` };
    };
    const first = sealed("k1", "A".repeat(43));
    const link = hash("sha256", `${stream}\n0\n${first.type}\n${first.data}\n${first.metadata}`, "base64url");
    await engines.eventStore.append([{ stream, expectedRevision: -1, events: [first, sealed("k2", link)] }]);
    await engines.close();
    const config = { url: "http://127.0.0.1:7373", key: undefined, dataDirectory: directory };
    const good = await run(["verify", "--json", "--no-projections"], {}, { config });
    expect(good.exit).toBe(0);
    expect(JSON.parse(good.out)).toMatchObject({ ok: true, events: 2, streams: 1 });

    const copy = join(directory, "copy");
    copyAndAlter(directory, copy, ({ data }) => (data.includes("k1") ? data.replace("k1", "k9") : undefined));
    const changed = await run(["verify", "--log", `file:${copy}`, "--no-projections"], {}, { config });
    expect(changed.exit).toBe(1);
    expect(changed.out).toContain("chain: key-00.default.keys, revision 1, metadata.prev: revision 0 is not what it was");
    expect(changed.out).toContain("FAILED: 1 chain.");
    const demo = await run(["demo", "tamper"], {}, { config });
    expect(demo).toMatchObject({ exit: 4 });
    expect(demo.err).toContain("usage send");
  });

  test("every command has help with an example", () => {
    const noop = (): void => undefined;
    const program = buildProgram(
      {
        config: { url: "", key: undefined, dataDirectory: "" },
        now: () => instant("2026-01-01T00:00:00Z"),
        elapsedMs: () => 0,
        sleep: async () => undefined,
        newId: () => "",
        out: noop,
        err: noop,
        live: false,
      },
      noop,
    );
    const without: string[] = [];
    const visit = (command: ReturnType<typeof buildProgram>, path: string): void => {
      for (const child of command.commands) visit(child, `${path} ${child.name()}`);
      if (command.commands.length > 0 && command.name() !== "usage") return;
      let text = "";
      command.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
      if (!text.includes("$ rerate ")) without.push(path);
    };
    visit(program, "rerate");
    expect(without).toEqual([]);
  });
});
