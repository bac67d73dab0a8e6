/**
 * Protocol-buffer messages written by hand, back to front, so that every length is known when it is written.
 *
 * Only for the two messages that are sent once per event or append: the generated code takes about ten times as long.
 */
export interface MessageWriter {
  /** The number of bytes written so far; a message is closed by handing `message` the mark taken before its fields. */
  mark(): number;
  uint64(field: number, value: number): void;
  bytes(field: number, value: Uint8Array): void;
  text(field: number, value: string): void;
  /** Makes everything written since `mark` one embedded message. */
  message(field: number, mark: number): void;
  finish(): Buffer;
}

/** `most` is an upper bound of the size of the whole message in bytes. */
export function createMessageWriter(most: number): MessageWriter {
  const buffer = Buffer.allocUnsafe(most);
  let at = most;

  function varint(value: number): void {
    let length = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1;
    at -= length;
    let rest = value;
    for (let index = 0; index < length - 1; index++) {
      buffer[at + index] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    buffer[at + length - 1] = rest;
  }

  function head(field: number, length: number): void {
    varint(length);
    varint(field * 8 + 2);
  }

  return {
    mark: () => most - at,
    uint64(field, value) {
      varint(value);
      varint(field * 8);
    },
    bytes(field, value) {
      at -= value.length;
      buffer.set(value, at);
      head(field, value.length);
    },
    text(field, value) {
      const length = Buffer.byteLength(value);
      at -= length;
      buffer.write(value, at, length, "utf8");
      head(field, length);
    },
    message(field, mark) {
      head(field, most - at - mark);
    },
    finish: () => buffer.subarray(at),
  };
}
