/** A server that speaks EventStoreDB's public protocol over an event store of ours: the test double and the fault injector. */
export { type Front, type FrontOptions, startFront } from "./front.ts";
export { FRONT_APPEND_BYTES } from "./appending.ts";
