export * from "./clock.ts";
export * from "./config.ts";
export * from "./engines.ts";
export * from "./lifecycle.ts";
export * from "./logger.ts";
export * from "./metrics.ts";
export * from "./offline.ts";
export * from "./stream-engines.ts";
export { checkStreamTopics, createStreamTopics } from "./stream-topics.ts";
