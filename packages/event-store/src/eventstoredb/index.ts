/** EventStoreDB as an event store. A room of its own, so that a process without it never loads the client. */
export { type EventStoreDbOptions, openEventStoreDb } from "./event-store-db.ts";
export { createMessageWriter, type MessageWriter } from "./protobuf.ts";
