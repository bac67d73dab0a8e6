export { createWalletService, type WalletOptions } from "./service.ts";
