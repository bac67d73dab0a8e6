/**
 * What can go wrong between us and Kafka, sorted by what to do about it.
 *
 * `code` is the name the Kafka protocol gives the error, or `CONNECTION` where nobody answered.
 */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A consumer that cannot go on: somebody must look. The message says what happened and what to do. */
export class KafkaStoppedError extends Error {
  override readonly name = "KafkaStoppedError";
}

/** Codes that a request may meet while a broker starts, dies or hands over; the same request works later. */
const PASSING = new Set([
  "CONNECTION",
  "UNKNOWN",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_FOR_PARTITION",
  "REPLICA_NOT_AVAILABLE",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "REQUEST_TIMED_OUT",
  "NETWORK_EXCEPTION",
  "KAFKA_STORAGE_ERROR",
  "NOT_ENOUGH_REPLICAS",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
  "REBALANCE_IN_PROGRESS",
  "UNKNOWN_MEMBER_ID",
  "ILLEGAL_GENERATION",
  "MEMBER_ID_REQUIRED",
  "FENCED_INSTANCE_ID",
  "OFFSET_NOT_AVAILABLE",
  "UNSTABLE_OFFSET_COMMIT",
  "THROTTLING_QUOTA_EXCEEDED",
]);

/** Whether the same request may work later without anybody's doing. */
export function willPass(error: unknown): boolean {
  return error instanceof KafkaError && PASSING.has(error.code);
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof KafkaError ? error.code : undefined;
}

/** The protocol's error numbers that fetching and producing meet. */
const CODES: Readonly<Record<number, string>> = {
  [-1]: "UNKNOWN",
  1: "OFFSET_OUT_OF_RANGE",
  2: "CORRUPT_MESSAGE",
  3: "UNKNOWN_TOPIC_OR_PARTITION",
  5: "LEADER_NOT_AVAILABLE",
  6: "NOT_LEADER_FOR_PARTITION",
  7: "REQUEST_TIMED_OUT",
  9: "REPLICA_NOT_AVAILABLE",
  10: "MESSAGE_TOO_LARGE",
  13: "NETWORK_EXCEPTION",
  17: "INVALID_TOPIC_EXCEPTION",
  18: "RECORD_LIST_TOO_LARGE",
  19: "NOT_ENOUGH_REPLICAS",
  20: "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  29: "TOPIC_AUTHORIZATION_FAILED",
  56: "KAFKA_STORAGE_ERROR",
  74: "FENCED_LEADER_EPOCH",
  76: "UNKNOWN_LEADER_EPOCH",
  78: "OFFSET_NOT_AVAILABLE",
  87: "INVALID_RECORD",
};

/** The name of a number that a broker answered, or undefined for 0: no error. */
export function codeOfNumber(number: number): string | undefined {
  return number === 0 ? undefined : (CODES[number] ?? `ERROR_${number}`);
}

/** The innermost error that the protocol or the connection named. */
export function asKafkaError(error: unknown): KafkaError {
  if (error instanceof KafkaError) return error;
  let code: string | undefined;
  for (const inner of causes(error)) {
    if ("type" in inner && typeof inner.type === "string") code = inner.type;
    else if (CONNECTION_ERRORS.has(inner.name)) code ??= "CONNECTION";
  }
  return new KafkaError(code ?? "UNEXPECTED", `Kafka: ${messageOf(error)}`, error);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What creating topics throws: one error for each that was refused.
  const parts: readonly unknown[] = "errors" in error && Array.isArray(error.errors) ? error.errors : [];
  return [error.message, ...parts.map((part) => (part instanceof Error ? topicError(part) : String(part)))].join(": ");
}

function topicError(error: Error): string {
  return "topic" in error ? `${String(error.topic)}: ${error.message}` : error.message;
}

/** An error and what caused it, outermost first. */
export function causes(error: unknown): readonly Error[] {
  const found: Error[] = [];
  for (let inner = error; inner instanceof Error && !found.includes(inner); inner = inner.cause) found.push(inner);
  return found;
}

const CONNECTION_ERRORS = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSLockTimeout",
  "KafkaJSGroupCoordinatorNotFound",
  "KafkaJSMetadataNotLoaded",
  "KafkaJSTopicMetadataNotLoaded",
  "KafkaJSNoBrokerAvailableError",
]);
