export * from "./definition.ts";
export * from "./judge.ts";
