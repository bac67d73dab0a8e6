export * from "./http/fields.ts";
export * from "./http/read-account.ts";
export * from "./http/read-system.ts";
