export * from "./access.ts";
export * from "./body.ts";
export * from "./door.ts";
export * from "./hosts.ts";
export * from "./keys.ts";
export * from "./problem.ts";
export * from "./route.ts";
export * from "./server.ts";
