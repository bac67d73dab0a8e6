export { createSettlementService, settlementTopics, type SettlementOptions } from "./service.ts";
