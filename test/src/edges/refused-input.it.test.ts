/**
 * Everything that a sender can get wrong in form, over real HTTP: each gets a clear problem that names all that has to be mended,
 * and nothing gets in.
 */
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BODY_LIMIT, EVENTS, expectRefused, GOOD, problemOf, startSender, usage, type Sender, type Usage } from "./sender.ts";
import { factsInside, type Ask, type Trial } from "./trial.ts";

let sender: Sender;
let trial: Trial;

beforeAll(async () => {
  sender = await startSender();
  ({ trial } = sender);
});

afterAll(async () => trial.stop());

describe("bodies that are no events are refused, and the server says what is wrong", () => {
  const refused: readonly (readonly [name: string, ask: Ask, status: number, says?: RegExp])[] = [
    ["an object that is not closed", { body: '{"id": ' }, 400],
    ["text after the object", { body: "{} {}" }, 400, /character 3/],
    ["a single quote", { body: "{'id': 1}" }, 400, /character 1/],
    ["NaN", { body: '{"data": {"input_tokens": NaN}}' }, 400],
    ["Infinity", { body: '{"data": {"input_tokens": Infinity}}' }, 400],
    ["no body", {}, 422],
    ["a number", { body: "7" }, 422],
    ["a text", { body: '"usage"' }, 422],
    ["null", { body: "null" }, 422],
    ["false", { body: "false" }, 422],
    ["an empty object", { body: {} }, 422, /specversion[^]*subject/],
    ["an array of arrays", { body: [[]] }, 422, /\/0/],
    ["CSV", { body: "a,b", type: "text/csv" }, 415, /cloudevents/],
    ["a form", { body: "a=b", type: "application/x-www-form-urlencoded" }, 415],
    ["XML that says it is JSON", { body: "<a/>" }, 400],
    ["a body larger than the limit", { body: "[".padEnd(BODY_LIMIT + 1, " ") }, 413, /65536/],
    ["30,000 nested arrays", { body: "[".repeat(30_000) + "]".repeat(30_000) }, 422],
    ["10,000 nested objects that are not closed", { body: '{"a":'.repeat(10_000) }, 400],
  ];
  for (const [name, ask, status, says] of refused) {
    test(name, async () => expectRefused(trial.ask("POST", EVENTS, ask), status, says));
  }

  test("bytes that are no UTF-8", async () => {
    const response = await fetch(`${trial.url()}${EVENTS}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Uint8Array([0x22, 0xff, 0xfe, 0x22]),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ detail: "the body is not UTF-8" });
  });
});

describe("events with wrong content are refused with a pointer to every problem", () => {
  const bad = (id: string, data: object): Usage => ({ id, data: { ...GOOD, ...data } });
  const refused: readonly (readonly [name: string, event: Usage, says: RegExp])[] = [
    ["negative tokens", bad("n1", { input_tokens: -1 }), /\/data\/input_tokens .*not negative/],
    ["negative zero point something", bad("n2", { output_tokens: -0.5 }), /\/data\/output_tokens/],
    ["fractional tokens", bad("n3", { input_tokens: 1.5 }), /\/data\/input_tokens .*whole/],
    ["fractional tokens as a text", bad("n4", { input_tokens: "1.5" }), /\/data\/input_tokens .*whole/],
    ["NaN as a text", bad("n5", { input_tokens: "NaN" }), /\/data\/input_tokens/],
    ["Infinity as a text", bad("n6", { input_tokens: "Infinity" }), /\/data\/input_tokens/],
    ["a number with an exponent as a text", bad("n7", { input_tokens: "1e3" }), /\/data\/input_tokens/],
    ["a hexadecimal text", bad("n8", { input_tokens: "0x10" }), /\/data\/input_tokens/],
    ["Arabic digits", bad("n9", { input_tokens: "٣" }), /\/data\/input_tokens/],
    ["digits with commas", bad("n10", { input_tokens: "1,000" }), /\/data\/input_tokens/],
    ["digits with spaces", bad("n11", { input_tokens: " 1 " }), /\/data\/input_tokens/],
    ["an empty text for tokens", bad("n12", { input_tokens: "" }), /\/data\/input_tokens/],
    ["true for tokens", bad("n13", { input_tokens: true }), /\/data\/input_tokens/],
    ["a list for tokens", bad("n14", { input_tokens: [1] }), /\/data\/input_tokens/],
    ["2^60 tokens as a number", bad("n15", { input_tokens: 2 ** 60 }), /\/data\/input_tokens/],
    ["2^60 tokens as a text", bad("n16", { input_tokens: "1152921504606846976" }), /\/data\/input_tokens/],
    [
      "16 digits before the point",
      bad("n17", { quantities: { seconds: "1000000000000000" } }),
      /\/data\/quantities\/seconds .*15 digits/,
    ],
    ["10 digits after the point", bad("n18", { quantities: { seconds: "0.1234567891" } }), /\/data\/quantities\/seconds/],
    ["more cached than input tokens", bad("n19", { cached_input_tokens: 1001 }), /cached/],
    [
      "cached and written tokens above the input together",
      bad("n20", { cached_input_tokens: 600, cache_write_tokens: 401 }),
      /cache/,
    ],
    ["a prompt", bad("n21", { prompt: "tell me" }), /\/data\/prompt .*not accepted/],
    ["messages", bad("n22", { messages: [{ role: "user", content: "hi" }] }), /\/data\/messages/],
    ["a prompt in other letters", bad("n23", { PROMPT: "tell me" }), /\/data\/PROMPT/],
    ["a completion among the dimensions", bad("n24", { dimensions: { completion: "words" } }), /\/data\/dimensions\/completion/],
    ["a message at the top", { id: "n25", prompt: "tell me" }, /\/prompt/],
    ["a model that is a number", bad("n26", { model: 4 }), /\/data\/model/],
    ["an attempt below one", bad("n27", { attempt: 0 }), /\/data\/attempt/],
    ["65 fields of data", bad("n28", Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`d${n}`, "x"]))), /\/data/],
    [
      "33 dimensions",
      bad("n29", { dimensions: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`d${n}`, "x"])) }),
      /dimensions/,
    ],
    ["33 attributes", { id: "n30", ...Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`x${n}`, "y"])) }, /attributes/],
    ["a dimension of 257 characters", bad("n31", { feature: "x".repeat(257) }), /\/data\/feature/],
    ["a dimension that is a list", bad("n32", { feature: ["a"] }), /\/data\/feature/],
    ["a name with a space", bad("n33", { "a b": "x" }), /\/data\/a b/],
    ["constructor as a dimension", bad("n34", { constructor: "x" }), /\/data\/constructor/],
    ["toString as a quantity", bad("n35", { quantities: { toString: 1 } }), /\/data\/quantities\/toString/],
    ["deep nesting in data", bad("n36", { dimensions: { a: { b: { c: { d: {} } } } } }), /\/data\/dimensions\/a/],
    ["data that is a list", { id: "n37", data: [] }, /\/data/],
    ["data that is a text", { id: "n38", data: "x" }, /\/data/],
    ["an empty id", { id: "" }, /\/id/],
    ["an id with a line break", { id: "a\nb" }, /\/id .*control/],
    ["an id with a lone surrogate", { id: "a\ud800" }, /\/id/],
    ["an id of 257 characters", { id: "x".repeat(257) }, /\/id/],
    ["no account", { id: "n39", subject: "" }, /\/subject/],
    ["another CloudEvents version", { id: "n40", specversion: "0.3" }, /\/specversion/],
    ["a time that is no time", { id: "n41", time: "yesterday" }, /\/time .*RFC 3339/],
    ["the 30th of February", { id: "n42", time: "2026-02-30T00:00:00Z" }, /\/time/],
    ["a time without a zone", { id: "n43", time: "2026-02-03T00:00:00" }, /\/time/],
    ["a time as a number", { id: "n44", time: 1_772_366_400 }, /\/time/],
    ["a time two hours ahead", { id: "n45", time: new Date(Date.now() + 7_200_000).toISOString() }, /\/time .*future/],
    ["the year 9999", { id: "n46", time: "9999-12-31T23:59:59Z" }, /\/time .*future/],
    ["the year 1999", { id: "n47", time: "1999-12-31T23:59:59Z" }, /\/time .*2000/],
    ["the year 1", { id: "n48", time: "0001-01-01T00:00:00Z" }, /\/time/],
    ["a correction of itself", bad("n49", { corrects: { id: "n49" }, revision: 1 }), /corrects/],
    ["a correction without a revision", bad("n50", { corrects: { id: "x" } }), /revision/],
  ];
  for (const [name, event, says] of refused) test(name, async () => expectRefused(sender.send(event), 422, says));

  test("__proto__ in data, which a parser makes an own key", async () => {
    const body = `{"specversion":"1.0","type":"t","source":"api","id":"proto","subject":"acme","data":{"model":"small","input_tokens":1,"output_tokens":1,"__proto__":{"polluted":"yes"}}}`;
    await expectRefused(trial.ask("POST", EVENTS, { body }), 422, /\/data\/__proto__/);
    await expectRefused(
      trial.ask("POST", EVENTS, { body: body.replace('"__proto__":{"polluted":"yes"}', '"__proto__":"x"') }),
      422,
      /__proto__/,
    );
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("one malformed event refuses its batch as a whole; with partial=true the others are accepted", async () => {
    const batch = [usage({ id: "b1" }), usage({ id: "b2", data: { ...GOOD, input_tokens: -1 } })];
    await expectRefused(trial.ask("POST", EVENTS, { body: batch }), 422, /\/1\/data\/input_tokens/);
    await trial.settled();
    expect((await factsInside(trial.standalone())).recorded).toEqual([]);
    const partial = await trial.ask("POST", `${EVENTS}?partial=true`, { body: batch });
    expect(partial).toMatchObject({ status: 202, json: { accepted: 1 } });
    sender.note(usage({ id: "b1" }));
  });

  test("too many events for one request", async () => {
    await expectRefused(
      trial.ask("POST", EVENTS, { body: `[${Array.from({ length: 10_001 }, () => "0").join()}]` }),
      413,
      /10000/,
    );
  });

  test("the other doors refuse as clearly", async () => {
    const doors: readonly (readonly [string, unknown, RegExp])[] = [
      ["/v1/costs", { source: "b", id: "1", account: "acme", amount: 1, currency: "USD" }, /\/amount/],
      ["/v1/costs", { source: "b", id: "1", account: "acme", amount: "1", currency: "US DOLLAR" }, /\/currency/],
      ["/v1/costs", { source: "b", id: "1", account: "acme", amount: "NaN", currency: "USD" }, /\/amount/],
      ["/v1/signals", { source: "b", id: "1", account: "acme", outcome: "x", signal: "a b" }, /\/signal/],
      ["/v1/signals", { source: "b", id: "1", account: "acme", outcome: "x", signal: "edit", confidence: "1.1" }, /\/confidence/],
      [
        "/v1/signals",
        { source: "b", id: "1", account: "acme", outcome: "x", signal: "edit", comment: "the answer was …" },
        /\/comment/,
      ],
      ["/v1/corrections", usage({ id: "x" }), /corrects/],
      ["/v1/imports", { account: "acme", source: "i", id: "1", phase: "paused" }, /\/phase/],
      ["/v1/wallets/acme/grants", { id: "g", amount: "-1", unit: "USD" }, /\/amount/],
      ["/v1/wallets/acme/grants", { id: "g", amount: 5, unit: "USD" }, /\/amount/],
      ["/v1/accounts", { account: "x", currency: "USD", timeZone: "Mars/Base" }, /\/timeZone/],
      ["/v1/accounts", { account: "x", currency: "USD", plan: "tokens" }, /\/plan/],
      ["/v1/keys", { role: "root", label: "x" }, /\/role/],
      ["/v1/keys", { role: "read-account", label: "x" }, /\/account/],
    ];
    for (const [path, body, says] of doors) await expectRefused(trial.ask("POST", path, { body }), 422, says);
  });

  test("parameters of reads are checked too", async () => {
    for (const path of [
      "/v1/parked?limit=0",
      "/v1/parked?limit=x",
      "/v1/accounts?limit=100000",
      "/v1/accounts/acme/entries/x/explanation",
      "/v1/accounts/acme/entries?order=up",
      "/v1/accounts/acme/usage?from=2026-01-01T00:00:01Z",
      "/v1/accounts?cursor=garbage",
    ]) {
      const reply = await trial.ask("GET", path);
      expect([path, reply.status]).toEqual([path, 422]);
      problemOf(reply);
    }
    for (const path of [
      "/v1/nothing",
      "/v1/accounts/nobody",
      "/v1/accounts/nobody/balance",
      "/v1/accounts/acme/entries/999999/explanation",
      "/v1/accounts/acme/invoices/1999-01",
      "/v1/documents/nope",
      "/v1/parked/nope",
    ]) {
      await expectRefused(trial.ask("GET", path), 404);
    }
    await expectRefused(trial.ask("PATCH", EVENTS), 404);
  });
});

describe("documents are refused with every problem, its line and its column", () => {
  const publish = (text: string, options: Ask = {}) =>
    trial.ask("POST", "/v1/documents", { body: text, type: "application/yaml", ...options });

  test("several at once", async () => {
    const reply = await publish(`kind: plan
id: bad plan
title: Bad
currency: dollars!
items:
  - id: a
    model: per-unti
  - id: b
    model: tokens
    prices: { input: 3, output: "-2" }
`);
    expect(reply.status).toBe(422);
    const { problems } = reply.json as { problems: { line: number; column: number; path: string; message: string }[] };
    for (const line of [2, 4, 7, 10]) expect(problems.map((problem) => problem.line)).toContain(line);
    expect(problems.filter(({ line }) => line === 10)).toHaveLength(2);
    expect(problems.every(({ line, column, message }) => line >= 1 && column >= 1 && message.length > 5)).toBe(true);
    expect(problemOf(reply).errors?.length).toBe(problems.length);
    expect(problemOf(reply).errors?.[0]?.detail).toMatch(/^line \d+, column \d+: /);
    const checked = await trial.ask("POST", "/v1/documents/validate", { body: "kind: plan\nid: x\n", type: "application/yaml" });
    expect(checked).toMatchObject({ status: 200, json: { valid: false } });
  });

  const hopeless: readonly (readonly [string, string, number])[] = [
    ["YAML that does not parse", "kind: plan\n  id: [", 422],
    ["no document", "---\n", 422],
    ["a list", "- kind: plan\n", 422],
    ["an unknown kind", "kind: invoice\nid: x\n", 422],
    ["a key twice", "kind: plan\nkind: plan\nid: x\n", 422],
    ["two documents", "kind: plan\n---\nkind: plan\n", 422],
    ["a tag that would make an object", "kind: !!js/function 'x'\n", 422],
    [
      "a billion laughs",
      `kind: plan\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\ni: [*h,*h,*h,*h,*h,*h,*h,*h,*h]\n`,
      422,
    ],
    ["ten thousand levels", `kind: plan\nid: ${"[".repeat(10_000)}`, 422],
    ["more than the limit", `kind: plan\n# ${"x".repeat(BODY_LIMIT)}`, 413],
  ];
  for (const [name, text, status] of hopeless) {
    test(name, async () => {
      const started = performance.now();
      await expectRefused(publish(text), status);
      expect(performance.now() - started).toBeLessThan(3_000);
    });
  }
});

describe("the server is asked under the wrong name", () => {
  const askAs = async (host: string): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const { hostname, port } = new URL(trial.url());
    httpRequest({ host: hostname, port, path: "/v1/totals", headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
    return promise;
  };

  test("only loopback's own names are answered, so that no web page gets in under a foreign one", async () => {
    for (const host of ["localhost", "127.0.0.1", "localhost:7373", "[::1]:80", "LOCALHOST"])
      expect([host, await askAs(host)]).toEqual([host, 200]);
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example:80",
      "169.254.169.254",
      "0.0.0.0",
      "2130706433",
    ]) {
      expect([host, await askAs(host)]).toEqual([host, 421]);
    }
  });
});

test("after all of it only the one good event is in, and the log verifies", async () => {
  expect(await sender.expectNothingLost()).toBe("1 distinct facts accepted = 1 recorded + 0 parked");
  expect(await trial.close()).toMatchObject({ ok: true, problems: [], projections: "equal" });
});
