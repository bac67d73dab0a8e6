export * from "./client.ts";
export * from "./emitter.ts";
export * from "./facts.ts";
export * from "./kafka-emitter.ts";
export { RefusedError, UnreachableError, type ClientOptions } from "./transport.ts";
