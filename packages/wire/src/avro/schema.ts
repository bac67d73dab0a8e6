/**
 * The part of Avro that the topics use, as types: what a `schemas/*.avsc` file may say.
 *
 * `topics` says where a record travels and `kind` how its TypeScript form is told apart from others on the same topic; both are
 * attributes that other Avro readers ignore. So are the two logical types: `rerate-instant` (canonical instant texts) and
 * `rerate-choice` (a closed set of texts, since Avro's enum symbols cannot hold a hyphen).
 */

export type AvroType =
  | "string"
  | "bytes"
  | "boolean"
  | "int"
  | "long"
  | "null"
  /** The name of a record defined earlier in the same file. */
  | (string & {})
  | readonly ["null", AvroType]
  | AvroRecord
  | { readonly type: "map"; readonly values: "string" }
  | { readonly type: "array"; readonly items: AvroType }
  | { readonly type: "string"; readonly logicalType: "rerate-instant" }
  | { readonly type: "string"; readonly logicalType: "rerate-choice"; readonly values: readonly string[] };

export interface AvroRecord {
  readonly type: "record";
  readonly name: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly fields: readonly AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly doc?: string;
  readonly type: AvroType;
  readonly default?: unknown;
}

/** The content of one `.avsc` file. */
export interface TopicRecord extends AvroRecord {
  readonly topics: readonly string[];
  readonly kind?: string;
}

/** A writer schema that has ever been used: kept for ever, so that every message ever written decodes. */
export interface KnownSchema {
  readonly fingerprint: string;
  readonly current: boolean;
  readonly schema: TopicRecord;
}
