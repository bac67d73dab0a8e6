/** A real Kafka broker on this machine, for development and tests. */
export { startBroker, type Broker, type BrokerOptions } from "./start-broker.ts";
export { MissingProgramError } from "./jars.ts";
