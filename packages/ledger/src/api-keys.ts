/**
 * The key decider: API keys of one namespace, created and revoked. A revoked key stays revoked.
 *
 * Owns `key-…` streams, one per namespace. Never sees a secret: keys come with the hash of theirs.
 */
import { SKIP_NEEDS, type Decider, type Decision, type ParkReason } from "./decider.ts";
import type { KeyCreated, KeyEvent } from "./contract-events.ts";

export type KeyCommand = CreateKey | RevokeKey;

export interface CreateKey extends KeyCreated {
  readonly kind: "create-key";
}

export interface RevokeKey {
  readonly kind: "revoke-key";
  readonly id: string;
}

export interface KeyFold {
  readonly stream: string;
  readonly keys: Map<string, { readonly created: KeyCreated; readonly revoked: boolean }>;
}

/** The name part of a namespace's key stream. */
export const KEYS = "keys";

export const apiKeys: Decider<KeyFold, KeyCommand, KeyEvent, undefined> = {
  name: "key",
  initial: (stream) => ({ stream, keys: new Map() }),
  evolve,
  needs: () => SKIP_NEEDS,
  decide: (state, command) => (command.kind === "create-key" ? create(state, command) : revoke(state, command)),
  keysOf: () => [],
  linkOf: () => undefined,
  deadlines: () => [],
  snapshot: ({ stream, keys }) => JSON.stringify({ stream, keys: [...keys] }),
  revive: (text) => {
    const form = JSON.parse(text) as {
      readonly stream: string;
      readonly keys: readonly [string, { created: KeyCreated; revoked: boolean }][];
    };
    return { stream: form.stream, keys: new Map(form.keys) };
  },
};

function evolve(state: KeyFold, event: KeyEvent): KeyFold {
  switch (event.type) {
    case "KeyCreated":
      state.keys.set(event.data.id, { created: event.data, revoked: false });
      return state;
    case "KeyRevoked": {
      const known = state.keys.get(event.data.id);
      if (known === undefined) throw new Error(`${state.stream}: key ${event.data.id} was revoked without having been created`);
      state.keys.set(event.data.id, { ...known, revoked: true });
      return state;
    }
  }
}

function create(state: KeyFold, command: CreateKey): Decision<KeyEvent> {
  const { id, secretHash, ns, role, account, label } = command;
  const known = state.keys.get(id)?.created;
  if (known !== undefined)
    return sameKey(known, command) ? DUPLICATE : refuse("conflict", `key "${id}" exists with other content`);
  if (id === "" || secretHash === "") return refuse("invalid-command", "a key needs an id and the hash of its secret");
  if ((role === "read-account") !== (account !== undefined)) {
    return refuse("invalid-command", "a key of the role read-account, and only such a key, names its account");
  }
  if ([...state.keys.values()].some(({ created }) => created.secretHash === secretHash)) {
    return refuse("conflict", "another key has the same secret");
  }
  return record({ type: "KeyCreated", data: { id, secretHash, ns, role, ...(account === undefined ? {} : { account }), label } });
}

function revoke(state: KeyFold, { id }: RevokeKey): Decision<KeyEvent> {
  const known = state.keys.get(id);
  if (known === undefined) return refuse("invalid-command", `there is no key "${id}"`);
  return known.revoked ? DUPLICATE : record({ type: "KeyRevoked", data: { id } });
}

function sameKey(a: KeyCreated, b: KeyCreated): boolean {
  return a.secretHash === b.secretHash && a.ns === b.ns && a.role === b.role && a.account === b.account && a.label === b.label;
}

function record(event: KeyEvent): Decision<KeyEvent> {
  return { kind: "record", events: [event], answer: { status: "recorded" } };
}

function refuse(reason: ParkReason, detail: string): Decision<KeyEvent> {
  return { kind: "park", reason, detail, events: [], answer: { status: reason === "conflict" ? "conflict" : "parked", detail } };
}

const DUPLICATE: Decision<KeyEvent> = { kind: "skip", answer: { status: "duplicate" } };
