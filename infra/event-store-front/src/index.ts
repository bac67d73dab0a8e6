/** A server that speaks EventStoreDB's public protocol over an event store of ours: the test double and the fault injector. */
export { FRONT_APPEND_BYTES } from "./appending.ts";
export { type Control, startControl } from "./control-routes.ts";
export { type Faults, type FaultSettings, NO_FAULTS } from "./faults.ts";
export { type Front, type FrontOptions, startFront } from "./front.ts";
