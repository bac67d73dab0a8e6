/**
 * Writes everything that is generated from the schemas: `node schemas/generate.ts` (`pnpm generate`).
 *
 * From `*.avsc`: the TypeScript types of the topics, the catalogue of writer schemas and a sample of each, to both of which this
 * only ever adds. From the zod schemas: the JSON Schemas of documents and HTTP bodies. A test compares what is on disk with what
 * this would write.
 */
import { readdirSync, readFileSync, writeFileSync, mkdirSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { outcomeDefinitionJsonSchema } from "../packages/outcomes/src/index.ts";
import { planJsonSchema, priceListJsonSchema } from "../packages/pricing/src/index.ts";
import { fingerprint } from "../packages/wire/src/avro/fingerprint.ts";
import { canonicalForm } from "../packages/wire/src/avro/record-codec.ts";
import type { AvroField, AvroRecord, AvroType, KnownSchema, TopicRecord } from "../packages/wire/src/avro/schema.ts";
import { httpBodyJsonSchemas } from "../packages/wire/src/http/json-schema.ts";
import { samplesOf } from "./samples.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const CATALOGUE = "schemas/generated/catalogue.json";

/** Path from the root → content, of every generated file. */
export function generatedFiles(): Map<string, string> {
  const records = topicRecords();
  const catalogue = extendedCatalogue(records);
  return new Map([
    [CATALOGUE, `${JSON.stringify(catalogue, undefined, 2)}\n`],
    ["packages/wire/src/generated/schemas.ts", schemasSource(catalogue)],
    ["packages/wire/src/generated/topics.ts", topicsSource(records)],
    ["schemas/generated/plan.schema.json", jsonText(planJsonSchema())],
    ["schemas/generated/price-list.schema.json", jsonText(priceListJsonSchema())],
    ["schemas/generated/outcome-definition.schema.json", jsonText(outcomeDefinitionJsonSchema())],
    ["schemas/generated/http-bodies.schema.json", jsonText(httpBodyJsonSchemas())],
    // A sample that is there stays as it was written.
    ...catalogue
      .flatMap(samplesOf)
      .map(({ path, content }): [string, string] => [path, readIfThere(path) ?? jsonText(content())]),
  ]);
}

/** Paths whose content on disk is not what it should be. */
export function staleFiles(): string[] {
  return [...generatedFiles()].filter(([path, content]) => readIfThere(path) !== content).map(([path]) => path);
}

function topicRecords(): TopicRecord[] {
  const names = readdirSync(join(ROOT, "schemas")).filter((name) => name.endsWith(".avsc"));
  return names.toSorted().map((name) => JSON.parse(readFileSync(join(ROOT, "schemas", name), "utf8")) as TopicRecord);
}

/** The known schemas with today's marked as current. Two texts with one fingerprint (a changed doc, say) are one schema: the newer text. */
function extendedCatalogue(records: readonly TopicRecord[]): KnownSchema[] {
  const today = records.map((schema): KnownSchema => ({
    fingerprint: fingerprint(canonicalForm(schema)),
    current: true,
    schema,
  }));
  const before = JSON.parse(readIfThere(CATALOGUE) ?? "[]") as KnownSchema[];
  const old = before.filter((one) => today.every((now) => now.fingerprint !== one.fingerprint));
  const all = [...today, ...old.map((one) => ({ ...one, current: false }))];
  return all.toSorted((a, b) => (a.schema.name + a.fingerprint < b.schema.name + b.fingerprint ? -1 : 1));
}

function schemasSource(catalogue: readonly KnownSchema[]): string {
  return `${GENERATED}import type { KnownSchema } from "../avro/schema.ts";

export const KNOWN_SCHEMAS: readonly KnownSchema[] = ${JSON.stringify(catalogue, undefined, 2)};
`;
}

function topicsSource(records: readonly TopicRecord[]): string {
  const interfaces = new Map<string, string>();
  for (const record of records) addInterface(interfaces, record, record.kind);
  const topics = [...new Set(records.flatMap((record) => record.topics))].toSorted();
  const bodies = topics.map((topic) => {
    const names = records.filter((record) => record.topics.includes(topic)).map((record) => record.name);
    return `  readonly ${JSON.stringify(topic)}: ${names.join(" | ")};`;
  });
  return `${GENERATED}import type { Instant } from "@rerate/money";

/** The bodies that travel on each topic. */
export interface TopicBodies {
${bodies.join("\n")}
}

${[...interfaces.values()].join("\n")}`;
}

function addInterface(interfaces: Map<string, string>, record: AvroRecord, kind?: string): void {
  for (const field of record.fields) for (const inner of recordsIn(field.type)) addInterface(interfaces, inner);
  const lines = record.fields.map(fieldSource);
  const doc = record.doc === undefined ? "" : `/** ${record.doc} */\n`;
  const discriminator = kind === undefined ? [] : [`  readonly kind: ${JSON.stringify(kind)};`];
  const source = `${doc}export interface ${record.name} {\n${[...discriminator, ...lines].join("\n")}\n}\n`;
  const other = interfaces.get(record.name);
  if (other !== undefined && other !== source) throw new Error(`two different records are named ${record.name}`);
  interfaces.set(record.name, source);
}

function recordsIn(type: AvroType): AvroRecord[] {
  if (typeof type === "string") return [];
  if ("length" in type) return recordsIn(type[1]);
  if (type.type === "record") return [type];
  return type.type === "array" ? recordsIn(type.items) : [];
}

function fieldSource(field: AvroField): string {
  const doc = field.doc === undefined ? "" : `  /** ${field.doc} */\n`;
  const optional = typeof field.type !== "string" && "length" in field.type;
  return `${doc}  readonly ${field.name}${optional ? "?" : ""}: ${typeSource(field.type)}${optional ? " | undefined" : ""};`;
}

function typeSource(type: AvroType): string {
  if (typeof type === "string") return PRIMITIVES[type] ?? type;
  if ("length" in type) return typeSource(type[1]);
  if (type.type === "record") return type.name;
  if (type.type === "map") return `Readonly<Record<string, ${typeSource(type.values)}>>`;
  if (type.type === "array") return `readonly ${typeSource(type.items)}[]`;
  return type.logicalType === "rerate-instant" ? "Instant" : type.values.map((value) => JSON.stringify(value)).join(" | ");
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  string: "string",
  bytes: "Uint8Array",
  boolean: "boolean",
  int: "number",
  long: "number",
};

const GENERATED = "// Generated by schemas/generate.ts from schemas/*.avsc. Do not edit: run `pnpm generate`.\n";

function jsonText(schema: unknown): string {
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

function readIfThere(path: string): string | undefined {
  return existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), "utf8") : undefined;
}

if (import.meta.main) {
  for (const [path, content] of generatedFiles()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), content);
    process.stdout.write(`${path}\n`);
  }
}
