/**
 * Structured logs on standard error. Fields carry ids, counts and positions; never the content of a fact.
 */
import { pino, destination, type Logger } from "pino";

export type { Logger } from "pino";

export function createLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination({ dest: 2, sync: true }));
}
