/** The message bus: its port, its engines, and the suite that every engine must pass. */
export * from "./port.ts";
export type { LocalConsumer } from "./consumer-group.ts";
export type { LocalBus, LocalBusOptions } from "./local-bus.ts";
export type { HintTopicOptions } from "./hints.ts";
export type { LogTopicOptions } from "./log-view.ts";
export type { TopicOptions } from "./published-topic.ts";
export type { BusStorage } from "./storage.ts";
export { createEmbeddedBus, type EmbeddedBusOptions } from "./embedded.ts";
export { createMemoryStorage } from "./memory-storage.ts";
export { createMemoryBus } from "./memory.ts";
