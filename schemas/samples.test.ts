import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KNOWN_SCHEMAS } from "../packages/wire/src/generated/schemas.ts";
import { topicCodec, topicNames, type Topic } from "../packages/wire/src/topics.ts";
import { bodyOf, samplesOf, type SampleFile } from "./samples.ts";

const FOLDER = join(import.meta.dirname, "samples");
const stored = readdirSync(FOLDER).map((name) => ({
  path: `schemas/samples/${name}`,
  sample: JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as SampleFile,
}));

describe("the stored samples", () => {
  test("are there for every schema that ever wrote a message, on every topic (else run: node schemas/generate.ts)", () => {
    const wanted = KNOWN_SCHEMAS.flatMap(samplesOf).map(({ path }) => path);
    expect(stored.map(({ path }) => path).toSorted()).toEqual(wanted.toSorted());
    expect(new Set(stored.map(({ sample }) => sample.topic))).toEqual(new Set(topicNames()));
  });

  test("hold messages of older schemas too", () => {
    const old = new Set(KNOWN_SCHEMAS.filter(({ current }) => !current).map(({ fingerprint }) => fingerprint));
    expect(stored.filter(({ sample }) => old.has(sample.fingerprint)).length).toBeGreaterThan(0);
  });

  test.each(stored)("$path decodes with today's code into what it held", ({ sample }) => {
    const { topic, fingerprint, messages } = sample;
    expect(messages.length).toBeGreaterThan(0);
    for (const { bytes, body } of messages) {
      expect(bytes.slice(0, 20)).toBe(`c301${Buffer.from(Buffer.from(fingerprint, "hex").toReversed()).toString("hex")}`);
      expect(topicCodec(topic as Topic).decode(Buffer.from(bytes, "hex"))).toEqual(bodyOf(body));
    }
  });
});
