export * from "./allocation.ts";
export * from "./amount.ts";
export * from "./currency.ts";
export * from "./fraction.ts";
export * from "./instant.ts";
export * from "./quantity.ts";
export * from "./rounding.ts";
