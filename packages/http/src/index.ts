export * from "./access.ts";
export * from "./problem.ts";
export * from "./route.ts";
