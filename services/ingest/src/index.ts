export * from "./intake.ts";
export * from "./routes.ts";
