export { routes, type WalletDoorDeps } from "./routes.ts";
export { createWalletService, type WalletOptions } from "./service.ts";
