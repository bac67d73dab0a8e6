/**
 * API keys: their text, their hash, and who a request's key makes its caller.
 *
 * A key is `rk_<id>_<secret>`. Only the SHA-256 of the secret is kept; the secret has 256 random bits, so a plain hash cannot be
 * searched. Comparison takes the same time whether a key exists or not.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Caller, KeyLookup } from "./access.ts";
import { HttpProblem } from "./problem.ts";

export interface NewKey {
  readonly id: string;
  /** The whole key: shown once, kept nowhere. */
  readonly token: string;
  readonly secretHash: string;
}

/** Makes a key. `randomBytes` must be cryptographically random. */
export function newKey(randomBytes: (count: number) => Uint8Array): NewKey {
  const id = Buffer.from(randomBytes(8)).toString("hex");
  const secret = Buffer.from(randomBytes(32)).toString("base64url");
  return { id, token: `rk_${id}_${secret}`, secretHash: hashSecret(secret) };
}

/** SHA-256 of a secret, 64 hex digits. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

const BEARER = /^Bearer +rk_([a-z0-9]{1,64})_([A-Za-z0-9_-]{16,256})$/i;

/** Who the `Authorization` header makes the caller. Throws an `unauthorized` problem that does not say what was wrong. */
export async function callerOf(authorization: string | undefined, lookup: KeyLookup): Promise<Caller> {
  if (authorization === undefined) throw new HttpProblem("unauthorized", "the Authorization header is missing");
  const match = BEARER.exec(authorization);
  const stored = match === null ? undefined : await lookup(match[1] ?? "");
  const given = Buffer.from(hashSecret(match?.[2] ?? ""), "hex");
  const kept = Buffer.from(stored?.secretHash ?? NO_KEY, "hex");
  const same = given.length === kept.length && timingSafeEqual(given, kept);
  if (!same || stored === undefined || stored.revoked) throw new HttpProblem("unauthorized", "the API key is not valid");
  const { ns, role, account, id } = stored;
  return { ns, role, keyId: id, ...(account === undefined ? {} : { account }) };
}

const NO_KEY = "0".repeat(64);
