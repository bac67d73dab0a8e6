export * from "./account-events.ts";
export * from "./contract-events.ts";
export * from "./decider.ts";
export * from "./messages.ts";
export * from "./outcome-events.ts";
export * from "./stream-name.ts";
export * from "./wallet-events.ts";
