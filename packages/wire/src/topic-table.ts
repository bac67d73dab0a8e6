/**
 * The table of topics: every topic there is, and of which kind it is. What a kind means for partitions, retention and
 * compaction is known to `@rerate/message-bus/kafka`, which creates and checks them; the docs have the same table in words.
 *
 * Topic names are a storage format: adding one is free, renaming one is a migration.
 */
export interface TopicEntry {
  readonly name: string;
  /**
   * `reported`: what producers send, in the partition they choose. `accepted`: from doors to owners. `published`: from a log.
   * `hint`: heard by every process, at most once. `table`: compacted, the last value of every key.
   */
  readonly kind: "reported" | "accepted" | "published" | "hint" | "table";
  /** What it carries, in one line. */
  readonly about: string;
  /** Fed from an intake topic too: how far that has been passed on, travels in it as marks, so that no deadline overtakes what waits there. */
  readonly marked?: true;
}

export const TOPIC_TABLE = [
  { name: "usage.reported", kind: "reported", about: "usage as producers send it: Avro or CloudEvents" },
  { name: "signal.reported", kind: "reported", about: "outcome signals as producers send them: Avro or CloudEvents" },
  { name: "usage.accepted", kind: "accepted", about: "facts that a door let in, for settlement", marked: true },
  { name: "signal.accepted", kind: "accepted", about: "signals that a door let in, for outcome-signal", marked: true },
  { name: "wallet.requested", kind: "accepted", about: "commands to wallets" },
  { name: "usage.recorded", kind: "published", about: "recorded usage with an outcome policy, for outcome-signal" },
  { name: "ledger.entries", kind: "published", about: "entries of accounts, for wallet" },
  { name: "outcome.decided", kind: "published", about: "verdicts, for settlement" },
  { name: "contract.changed", kind: "published", about: "a hint that an account's contract stream has grown, for settlement" },
  { name: "account.standing", kind: "hint", about: "whether a wallet may go on" },
  { name: "door.answered", kind: "hint", about: "answers for doors where somebody waits" },
  { name: "parked", kind: "table", about: "messages that could not be recorded, by id, until they are erased" },
  { name: "relay.checkpoints", kind: "table", about: "how far each relay has published, by relay and partition" },
  { name: "service.status", kind: "table", about: "heartbeats of all processes, by service and instance" },
] as const satisfies readonly TopicEntry[];
