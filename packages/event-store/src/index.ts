/** The log: its port, its engines, the hash chain and the suite that every engine must pass. */
export * from "./port.ts";
export { FIRST_LINK, chainHash, eventId } from "./chain.ts";
export { MAX_APPEND_BYTES, MAX_APPEND_EVENTS } from "./append-rules.ts";
export { createEmbeddedEventStore, type EmbeddedOptions } from "./embedded.ts";
export { createMemoryEventStore, type MemoryOptions } from "./memory.ts";
export type { LocalEventStore } from "./local.ts";
export { alterStoredText, copyLog, type Alteration } from "./tamper.ts";
