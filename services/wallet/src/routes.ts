/**
 * The front door of wallets: grant credits, void what is left of a grant. Commands travel on `wallet.requested`; their id is their
 * identity, so sending one again has no effect.
 */
import {
  OPERATORS,
  route,
  throughDoor,
  type AwaitAnswer,
  type PublishMessages,
  type RoutePlugin,
  type RouteReply,
} from "@rerate/http";
import { partitionKey, shardOf, type WalletCommand } from "@rerate/ledger";
import {
  doorAt,
  grantBodySchema,
  grantParams,
  receiptSchema,
  toGrantCommand,
  toVoidCommand,
  voidBodySchema,
  walletParams,
} from "@rerate/wire";

export interface WalletDoorDeps {
  readonly publish: PublishMessages;
  readonly nowMs: () => number;
  readonly awaitAnswer?: AwaitAnswer;
}

const WALLET_TOPIC = "wallet.requested";
const ACCEPTED = { 200: receiptSchema, 202: receiptSchema };

export function routes(deps: WalletDoorDeps): RoutePlugin {
  const grant = route({
    method: "POST",
    path: "/v1/wallets/:wallet/grants",
    roles: OPERATORS,
    tag: "wallets",
    summary: "Grant credits",
    description: "Pays what is unpaid first, then entries to come. With `Prefer: wait=5` the answer says what was decided.",
    params: walletParams,
    body: grantBodySchema,
    replies: ACCEPTED,
    handle: async ({ params, body, caller, waitSeconds }) =>
      send(deps, toGrantCommand(params.wallet, body, doorAt(caller.ns, deps.nowMs())), waitSeconds),
  });
  const voidGrant = route({
    method: "POST",
    path: "/v1/wallets/:wallet/grants/:grant/void",
    roles: OPERATORS,
    tag: "wallets",
    summary: "Void what is left of a grant",
    params: grantParams,
    body: voidBodySchema,
    replies: ACCEPTED,
    handle: async ({ params, body, caller, waitSeconds }) =>
      send(deps, toVoidCommand(params.wallet, params.grant, body, doorAt(caller.ns, deps.nowMs())), waitSeconds),
  });
  return { name: "wallet", routes: [grant, voidGrant] };
}

function send(deps: WalletDoorDeps, command: WalletCommand, waitSeconds: number): Promise<RouteReply> {
  const { awaitAnswer } = deps;
  const { ns, wallet, id, contentHash } = command;
  return throughDoor({
    items: [command],
    batch: false,
    partial: false,
    // A command's identity is its id alone, within its wallet.
    read: () => ({ fact: { ns, id } }),
    publish: async (_facts, awaited) =>
      deps.publish(WALLET_TOPIC, [{ key: partitionKey(ns, wallet), shard: shardOf(ns, wallet), body: command, awaited }]),
    waitSeconds,
    awaitAnswer:
      awaitAnswer === undefined
        ? undefined
        : async (_command, ms) => awaitAnswer(WALLET_TOPIC, { ns, name: wallet, source: "", id, contentHash }, ms),
    onRefused: undefined,
  });
}
