export * from "./client.ts";
export * from "./emitter.ts";
export { RefusedError, UnreachableError, type ClientOptions } from "./transport.ts";
