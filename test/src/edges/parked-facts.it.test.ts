/**
 * Facts that are well-formed and yet cannot simply be billed: unknown accounts, missing prices, duplicates, conflicts, quantities and
 * times at the edge. Nothing stops, nothing is lost, nothing is billed twice; what must hold is checked at the end.
 */
import { parseAmount } from "@rerate/money";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  answersOf,
  EVENTS,
  expectRefused,
  GOOD,
  HALF_MODEL,
  KNOWN_MODEL,
  NEW_MODEL,
  priceList,
  problemOf,
  startSender,
  usage,
  WAIT,
  WHOLE_MODEL,
  type Sender,
} from "./sender.ts";
import type { Trial } from "./trial.ts";

let sender: Sender;
let trial: Trial;

beforeAll(async () => {
  sender = await startSender();
  ({ trial } = sender);
});

afterAll(async () => trial.stop());

describe("facts that cannot be recorded are kept with bytes and reason, and go on when the gap is filled", () => {
  test("an unknown account: parked, and recorded by itself once it is open and on a plan", async () => {
    const reply = await sender.send({ id: "early", subject: "newcomer", time: "2026-03-01T10:00:00Z" }, { headers: WAIT });
    expect(reply.status).toBe(202);
    expect(answersOf(reply)).toMatchObject([{ status: "parked", detail: expect.stringContaining("not open") }]);
    const { parked: found } = await sender.parked({ account: "newcomer" });
    expect(found).toMatchObject([{ reason: "unknown-account", service: "settlement", account: "newcomer" }]);
    const shown = await trial.client().parkedMessage(found[0]?.id ?? "");
    expect(shown.body).toMatchObject({ id: "early", source: "api", quantities: { input_tokens: "1000" } });
    expect(shown.bytesBase64.length).toBeGreaterThan(20);

    await trial.client().openAccount({ account: "newcomer", currency: "USD" });
    expect((await sender.parked({ account: "newcomer" })).parked).toHaveLength(1);
    await trial.client().assignPlan("newcomer", { planId: "tokens", from: "2000-01-01T00:00:00Z" });
    await expect.poll(async () => (await sender.parked({ account: "newcomer" })).count - (await sender.parked()).count).toBe(0);
    await expect.poll(async () => (await sender.parked({ account: "newcomer" })).parked).toEqual([]);
    expect(await sender.net("newcomer")).toBe(parseAmount("0.002"));
    expect((await trial.client().entries("newcomer")).entries).toHaveLength(1);
  });

  test("an account without a plan: parked as well", async () => {
    await trial.client().openAccount({ account: "planless", currency: "USD" });
    await sender.send({ id: "p1", subject: "planless" });
    expect((await sender.parked({ account: "planless" })).parked).toMatchObject([{ reason: "unknown-account" }]);
  });

  test("an unknown plan is refused where it is assigned", async () => {
    await expectRefused(
      trial.ask("PUT", "/v1/accounts/acme/plan", { body: { planId: "no-such-plan" } }),
      422,
      /\/planId .*published/,
    );
    await expectRefused(
      trial.ask("PUT", "/v1/accounts/acme/plan", { body: { planId: "tokens", planHash: "0".repeat(64) } }),
      422,
      /\/planHash/,
    );
    await expectRefused(trial.ask("PUT", "/v1/accounts/nobody/plan", { body: { planId: "tokens" } }), 404);
  });

  test("a time before any plan was in force: parked, and recorded by itself once one is", async () => {
    const client = trial.client();
    await client.openAccount({ account: "later", currency: "USD" });
    await client.assignPlan("later", { planId: "tokens", from: "2026-06-01T00:00:00Z" });
    await sender.send({ id: "before", subject: "later", time: "2026-05-31T23:59:59.999999999Z" });
    expect((await sender.parked({ account: "later" })).parked).toMatchObject([{ reason: "no-rules" }]);
    await client.assignPlan("later", { planId: "tokens", from: "2026-05-01T00:00:00Z" });
    await expect.poll(async () => (await sender.parked({ account: "later" })).parked).toEqual([]);
    expect(await sender.net("later")).toBe(parseAmount("0.002"));
  });

  test("an unknown model and a missing price: parked; a retry works once a price is published for that time", async () => {
    const client = trial.client();
    await sender.open("models");
    await sender.send({ id: "m1", subject: "models", time: "2026-07-01T12:00:00Z" });
    await sender.send({ id: "m2", subject: "models", time: "2026-07-02T12:00:00Z", data: { ...GOOD, model: "brand-new" } });
    const { parked: before } = await sender.parked({ account: "models" });
    expect(before).toMatchObject([{ reason: "unknown-model", detail: expect.stringContaining("brand-new") }]);
    const id = before[0]?.id ?? "";
    expect((await client.retryParked(id)).status).toBe("parked");
    expect((await sender.parked({ account: "models" })).parked).toHaveLength(1);

    // From a time after the account's last recorded fact, so that nothing recorded is priced anew.
    const wider = priceList(KNOWN_MODEL + NEW_MODEL + HALF_MODEL);
    await client.publishDocument(wider, { effectiveFrom: "2026-07-02T00:00:00Z" });
    expect((await client.retryParked(id)).status).toBe("recorded");
    expect((await sender.parked({ account: "models" })).parked).toEqual([]);
    expect(await sender.net("models")).toBe(parseAmount("0.002") + parseAmount("0.005"));

    await sender.send({ id: "m3", subject: "models", time: "2026-07-03T12:00:00Z", data: { ...GOOD, model: "half" } });
    const { parked: half } = await sender.parked({ account: "models" });
    expect(half).toMatchObject([{ reason: "missing-price", detail: expect.stringContaining("output") }]);
    await client.publishDocument(priceList(KNOWN_MODEL + NEW_MODEL + WHOLE_MODEL), { effectiveFrom: "2026-07-03T00:00:00Z" });
    expect((await client.retryParked(half[0]?.id ?? "")).status).toBe("recorded");
    expect(await sender.net("models")).toBe(parseAmount("0.002") + parseAmount("0.005") + parseAmount("0.002"));
  });

  test("a price for a time that has recorded facts behind it changes nothing recorded, and prices only what had no price", async () => {
    const client = trial.client();
    await sender.open("busy");
    await sender.send({ id: "u1", subject: "busy", time: "2026-08-01T12:00:00Z", data: { ...GOOD, model: "newest" } });
    await sender.send({ id: "u2", subject: "busy", time: "2026-08-05T12:00:00Z" });
    await trial.settled();
    const billed = await sender.net("busy");
    const newest = `      - { id: newest, prices: [{ input: "9", output: "9" }] }\n`;
    await client.publishDocument(priceList(KNOWN_MODEL.replace('"1"', '"100"') + newest), {
      effectiveFrom: "2026-08-01T00:00:00Z",
    });
    const { parked: found } = await sender.parked({ account: "busy" });
    expect((await client.retryParked(found[0]?.id ?? "")).status).toBe("recorded");
    await trial.settled();
    expect(await sender.net("busy")).toBe(billed + 1_500n * 9_000n);
    // Back to plain prices for what follows.
    await client.publishDocument(priceList(KNOWN_MODEL + NEW_MODEL), { effectiveFrom: "2026-08-06T00:00:00Z" });
  });

  test("a type that the plan does not price, a quantity and a model that it needs", async () => {
    await trial
      .client()
      .publishDocument(
        `kind: plan\nid: typed\ntitle: One type\ncurrency: USD\nitems:\n  - { id: chat, model: tokens, when: { types: [llm.completion] }, priceList: models, provider: acme }\n`,
        { effectiveFrom: "2000-01-01T00:00:00Z" },
      );
    await trial.client().openAccount({ account: "gaps", currency: "USD" });
    await trial.client().assignPlan("gaps", { planId: "typed", from: "2000-01-01T00:00:00Z" });
    await sender.send({ id: "g1", subject: "gaps", type: "image.made" });
    await sender.send({ id: "g2", subject: "gaps", data: { input_tokens: 1, output_tokens: 1 } });
    await sender.send({ id: "g3", subject: "gaps", data: { model: "small" } });
    const { parked: found } = await sender.parked({ account: "gaps" });
    expect(new Map(found.map(({ reason, detail }) => [reason, detail])).keys().toArray().sort()).toEqual([
      "missing-dimension",
      "missing-quantity",
      "no-charge-item",
    ]);
    expect(await sender.net("gaps")).toBe(0n);
  });

  test("an erased parked message is gone for good, and only that one", async () => {
    await sender.send({ id: "erase-me", subject: "gaps", type: "image.made" });
    const { parked: found } = await sender.parked({ account: "gaps" });
    const client = trial.client();
    const shown = await Promise.all(found.map(async ({ id }) => client.parkedMessage(id)));
    const mine = shown.find(({ body }) => (body as { id?: string }).id === "erase-me");
    await client.eraseParked(mine?.id ?? "");
    sender.forget(usage({ id: "erase-me", subject: "gaps", type: "image.made" }));
    await expectRefused(trial.ask("GET", `/v1/parked/${mine?.id ?? ""}`), 404);
    await expectRefused(trial.ask("DELETE", `/v1/parked/${mine?.id ?? ""}`), 404);
    expect((await sender.parked({ account: "gaps" })).parked).toHaveLength(found.length - 1);
  });
});

describe("one fact has the effect of one", () => {
  test("sent again, in a batch and alone, it is a duplicate", async () => {
    const before = await sender.net("beta");
    const event = { id: "once", subject: "beta" };
    expect(answersOf(await sender.send(event, { headers: WAIT }))).toMatchObject([{ status: "recorded" }]);
    const again = await sender.send(event, { headers: WAIT });
    expect([again.status, answersOf(again)[0]?.status]).toEqual([200, "duplicate"]);
    const batch = await trial.ask("POST", EVENTS, {
      body: [usage(event), usage(event), usage({ ...event, data: { ...GOOD, input_tokens: "1000" } })],
      headers: WAIT,
    });
    expect(answersOf(batch).map(({ status }) => status)).toEqual(["duplicate", "duplicate", "duplicate"]);
    expect((await sender.net("beta")) - before).toBe(parseAmount("0.002"));
  });

  test("sent fifty times at once, it is billed once", async () => {
    const before = await sender.net("beta");
    const event = { id: "storm", subject: "beta" };
    const replies = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => sender.send(event, n % 2 === 0 ? { headers: WAIT } : {})),
    );
    expect(replies.every(({ status }) => status === 200 || status === 202)).toBe(true);
    const answers = replies.filter(({ json }) => (json as { answers?: unknown }).answers !== undefined).flatMap(answersOf);
    expect(answers).toHaveLength(25);
    expect(answers.every(({ status }) => status === "recorded" || status === "duplicate")).toBe(true);
    expect((await sender.net("beta")) - before).toBe(parseAmount("0.002"));
    const { entries } = await trial.client().entries("beta", { limit: 1000 });
    expect(entries).toHaveLength(2);
  });

  test("with other content it is a conflict: told, parked, counted, visible, never billed", async () => {
    const before = await sender.net("beta");
    const event = { id: "once", subject: "beta", data: { ...GOOD, input_tokens: 999_999 } };
    const reply = await sender.send(event, { headers: WAIT });
    expect(reply.status).toBe(409);
    expect(problemOf(reply)).toMatchObject({ detail: expect.stringContaining("other content") });
    // Without waiting it is accepted, and the same thing happens.
    const blind = await sender.send({ ...event, data: { ...GOOD, input_tokens: 777 } });
    expect(blind.status).toBe(202);
    const batch = await trial.ask("POST", EVENTS, { body: [usage(event)], headers: WAIT });
    expect(answersOf(batch)).toMatchObject([{ status: "conflict" }]);
    const { parked: found } = await sender.parked({ account: "beta", reason: "conflict" });
    expect(found).toHaveLength(2);
    expect((await trial.ask("GET", "/metrics")).text).toMatch(/rerate_parked_total\{[^}]*conflict[^}]*\} [2-9]/);
    expect(await sender.net("beta")).toBe(before);
    expect((await trial.client().retryParked(found[0]?.id ?? "")).status).toBe("parked");
    expect(await sender.net("beta")).toBe(before);
  });

  test("fifty different contents of one identity at once: one is billed, forty-nine are parked", async () => {
    const before = await sender.net("beta");
    const contents = Array.from({ length: 50 }, (_, n) => ({ id: "torn", subject: "beta", data: { ...GOOD, output_tokens: n } }));
    const replies = await Promise.all(contents.map(async (event) => sender.send(event, { headers: WAIT })));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(49);
    const winner = replies.findIndex(({ status }) => status === 200);
    expect((await sender.net("beta")) - before).toBe(parseAmount("0.001") + BigInt(winner) * parseAmount("0.000002"));
  });

  test("the same source and id under another account is another fact: billed, and listed for auditors", async () => {
    await sender.send({ id: "shared", subject: "acme" });
    await sender.send({ id: "shared", subject: "beta" });
    await trial.settled();
    const { identities } = await trial.client().sharedIdentities();
    expect(identities).toContainEqual({ source: "api", id: "shared", accounts: ["acme", "beta"] });
    for (const account of ["acme", "beta"]) {
      const { entries } = await trial.client().entries(account, { limit: 1000 });
      expect(entries.filter(({ source, id }) => source === "api" && id === "shared")).toHaveLength(1);
    }
  });

  test("identities that look alike are different facts", async () => {
    const before = await sender.net("acme");
    const alike = [
      "x",
      "X",
      "x ",
      " x",
      "х",
      "x/y",
      "x%2Fy",
      "x.y",
      "\u00e9",
      "e\u0301",
      "constructor",
      "__proto__",
      "0",
      "00",
      "💸",
    ];
    for (const id of alike)
      expect(answersOf(await sender.send({ id }, { headers: WAIT }))).toMatchObject([{ status: "recorded" }]);
    await sender.send({ id: "b c", source: "a" });
    await sender.send({ id: "c", source: "a b" });
    expect((await sender.net("acme")) - before).toBe(parseAmount("0.002") * BigInt(alike.length + 2));
  });
});

describe("quantities and times at the edge of what is allowed", () => {
  test("nothing at all, and 15 digits, are priced exactly", async () => {
    const client = trial.client();
    await sender.open("edge");
    await sender.send({ id: "zero", subject: "edge", data: { model: "small", input_tokens: 0, output_tokens: 0 } });
    expect(await sender.net("edge")).toBe(0n);
    await sender.send({
      id: "huge",
      subject: "edge",
      data: { model: "small", input_tokens: "999999999999999", output_tokens: 999_999_999_999_999 },
    });
    // 3 dollars per million of each together: 2,999,999,999.999997 dollars.
    expect(await sender.net("edge")).toBe(parseAmount("2999999999.999997"));
    await sender.send({
      id: "huge-2",
      subject: "edge",
      data: { model: "small", input_tokens: "999999999999999", output_tokens: 0 },
    });
    expect(await sender.net("edge")).toBe(parseAmount("3999999999.999996"));
    const { entries } = await client.entries("edge");
    expect(entries.map(({ amount }) => amount)).toContain("2999999999.999997");
  });

  test("the first and the last moment that a door takes", async () => {
    const before = await sender.net("edge");
    await sender.send({ id: "ancient", subject: "edge", time: "2000-01-01T00:00:00Z" });
    await sender.send({ id: "soon", subject: "edge", time: new Date(Date.now() + 3_000_000).toISOString() });
    await sender.send({ id: "offset", subject: "edge", time: "2000-01-01T05:30:00.000000001+05:30" });
    const { parked: found } = await sender.parked({ account: "edge" });
    expect(found).toEqual([]);
    expect((await sender.net("edge")) - before).toBe(3n * parseAmount("0.002"));
  });

  test("a correction for a fact that never came waits, and one that voids gives everything back", async () => {
    const before = await sender.net("edge");
    const fix = usage({ id: "fix-1", subject: "edge", data: { ...GOOD, corrects: { id: "absent" }, revision: 1 } });
    expect((await trial.ask("POST", "/v1/corrections", { body: fix })).status).toBe(202);
    sender.note(fix);
    expect(await sender.net("edge")).toBe(before);
    await sender.send({ id: "wrong", subject: "edge", time: "2026-03-01T00:00:00Z" });
    const nothing = usage({
      id: "fix-2",
      subject: "edge",
      time: "2026-03-01T00:00:00Z",
      data: { model: "small", input_tokens: 0, output_tokens: 0, corrects: { id: "wrong" }, revision: 1 },
    });
    expect((await trial.ask("POST", "/v1/corrections", { body: nothing })).status).toBe(202);
    sender.note(nothing);
    expect(await sender.net("edge")).toBe(before);
  });
});

test("an account under a hostile name is an account like any other", async () => {
  for (const account of [
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a.b-c",
    "__proto__",
    "' OR 1=1 --",
    "💸 account",
    "constructor",
  ]) {
    expect((await trial.ask("POST", "/v1/accounts", { body: { account, currency: "USD" } })).status).toBe(201);
    expect(
      (
        await trial.ask("PUT", `/v1/accounts/${encodeURIComponent(account)}/plan`, {
          body: { planId: "tokens", from: "2000-01-01T00:00:00Z" },
        })
      ).status,
    ).toBe(201);
    expect(answersOf(await sender.send({ id: "1", subject: account }, { headers: WAIT }))).toMatchObject([
      { status: "recorded" },
    ]);
    expect(await sender.net(account)).toBe(parseAmount("0.002"));
  }
});

describe("after all of it", () => {
  test("the server is ready, and no stream is quarantined", async () => {
    await trial.settled();
    const ready = await trial.ask("GET", "/readyz");
    expect([ready.status, ready.json]).toMatchObject([200, { ready: true }]);
    expect((await trial.client().status()).quarantined).toEqual([]);
    expect(answersOf(await sender.send({ id: "still here" }, { headers: WAIT }))).toMatchObject([{ status: "recorded" }]);
  });

  test("distinct accepted facts = recorded + parked, each once, after a restart too", async () => {
    const before = await sender.expectNothingLost();
    await trial.restart();
    expect(await sender.expectNothingLost()).toBe(before);
    console.info(before);
  });

  test("the log and the read models verify", async () => {
    const report = await trial.close();
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({ ok: true, projections: "equal", pending: { usage: 0, verdicts: 0, entries: 0 } });
  });
});
