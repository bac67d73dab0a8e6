/**
 * Protocol-buffer messages written and read by hand: back to front, so that every length is known when it is written.
 *
 * Knows the encoding and no message. Only for what is sent once per event or append; the generated code takes several times as
 * long for it.
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

/** Called for each field of a message with what it holds: an integer, or the bytes of a text or a message. */
export interface FieldReader {
  /** An integer below 2⁶⁴, exactly. */
  readonly integer?: (field: number, value: number | bigint) => void;
  readonly bytes?: (field: number, from: number, to: number) => void;
}

/** Reads the fields of the message that lies in `buffer` between two places. Fields of other kinds are passed over. */
export function readFields(buffer: Buffer, from: number, to: number, { integer, bytes }: FieldReader): void {
  let at = from;

  function varint(): number | bigint {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 7; count++) {
      const byte = buffer[at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    // From the eighth byte on the value may be beyond what a number holds exactly.
    let large = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = buffer[at++] ?? 0;
      large += BigInt(byte & 127) << shift;
      if (byte < 128) break;
    }
    return BigInt.asUintN(64, large);
  }

  while (at < to) {
    const tag = Number(varint());
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0: {
        const value = varint();
        integer?.(field, value);
        break;
      }
      case 1:
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        bytes?.(field, at, at + length);
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new RangeError(`a message has a field of the unknown kind ${tag & 7}`);
    }
  }
  if (at !== to) throw new RangeError("a message is cut off");
}
