/**
 * CRC-64-AVRO, the fingerprint by which a message names its writer schema.
 */

const EMPTY = 0xc15d213aa4d7a795n;

const TABLE: readonly bigint[] = Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit += 1) value = (value >> 1n) ^ (value & 1n ? EMPTY : 0n);
  return value;
});

/** The fingerprint of a schema in parsing canonical form, as 16 hex digits. */
export function fingerprint(canonicalForm: string): string {
  let crc = EMPTY;
  for (const byte of Buffer.from(canonicalForm, "utf8")) crc = (crc >> 8n) ^ (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] ?? 0n);
  return crc.toString(16).padStart(16, "0");
}
