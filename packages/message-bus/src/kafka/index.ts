/** The message bus over Kafka. Importing it loads kafkajs; nothing else here does. */
export { openKafkaBus, type KafkaBus, type KafkaBusOptions, type KafkaTopic } from "./kafka-bus.ts";
export { KafkaError, KafkaStoppedError, willPass } from "./kafka-error.ts";
export type { KafkaLog } from "./log.ts";
export type { LaneStatus } from "./lane-set.ts";
export type { KafkaTable } from "./table.ts";
export { DEFAULT_TEMPO, type Tempo } from "./tempo.ts";
export * from "./topics.ts";
export type { Waiting } from "./waiting-since.ts";
