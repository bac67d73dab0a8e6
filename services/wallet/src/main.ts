/** Wallet as a process of its own: its worker and the door for commands. */
import { runService } from "@rerate/process";
import { routes } from "./routes.ts";
import { createWalletService } from "./service.ts";

await runService("wallet", async (process) => {
  const worker = createWalletService({
    ...(await process.surroundings("wallet")),
    answers: process.answersTo("wallet.requested"),
  });
  return { plugins: [routes(process.door())], workers: [{ ...worker, name: "wallet" }] };
});
