/** What the Kafka bus logs to; pino's loggers fit. Called per event of the connection or the group, never per message. */
export interface KafkaLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
