/**
 * Instants and durations as data: nanoseconds since 1970-01-01T00:00:00Z, with one canonical text.
 *
 * Owns the text form. The canonical text always has nine fractional digits and a `Z`
 * (`2023-11-16T18:15:46.680590000Z`), so comparing two texts compares two times: stored events, states and keys
 * compare instants with `<` and never parse them. Knows no clock and no time zone.
 */

declare const instantBrand: unique symbol;
/** A canonical instant in UTC, years 0000 to 9999. Compare with `<`, `===`, `>`. */
export type Instant = string & { readonly [instantBrand]: true };

/** The canonical instant of an RFC 3339 text with any offset and at most nine fractional digits; undefined when it is not one. */
export function parseInstant(text: string): Instant | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year = "", month = "", day = "", hour = "", minute = "", second = "", places = "", zone = ""] = match;
  if (!isCalendarDay(+year, +month, +day) || +hour > 23 || +minute > 59 || +second > 59) return undefined;
  const canonical = `${year}-${month}-${day}T${hour}:${minute}:${second}.${places.padEnd(9, "0")}Z`;
  if (zone === "Z" || zone === "z") return canonical as Instant;
  const offsetMinutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  if (Number(zone.slice(4, 6)) > 59 || offsetMinutes > 24 * 60) return undefined;
  const shift = BigInt(zone.startsWith("-") ? offsetMinutes : -offsetMinutes) * 60n * SECOND;
  const shifted = toNanos(canonical as Instant) + shift;
  return shifted < FIRST || shifted > LAST ? undefined : fromNanos(shifted);
}

/** As `parseInstant`, but throws a RangeError: for texts that are known to be instants. */
export function instant(text: string): Instant {
  const parsed = parseInstant(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is not an RFC 3339 time`);
  return parsed;
}

/** Nanoseconds since 1970 as an instant. Throws a RangeError outside the years 0000 to 9999. */
export function fromNanos(nanos: bigint): Instant {
  if (nanos < FIRST || nanos > LAST) throw new RangeError("an instant lies between the years 0000 and 9999");
  let milliseconds = nanos / 1_000_000n;
  let rest = nanos % 1_000_000n;
  if (rest < 0n) {
    milliseconds -= 1n;
    rest += 1_000_000n;
  }
  return `${new Date(Number(milliseconds)).toISOString().slice(0, 23)}${rest.toString().padStart(6, "0")}Z` as Instant;
}

export function fromMilliseconds(milliseconds: number): Instant {
  return `${new Date(milliseconds).toISOString().slice(0, 23)}000000Z` as Instant;
}

export function toNanos(value: Instant): bigint {
  return BigInt(toMilliseconds(value)) * 1_000_000n + BigInt(value.slice(23, 29));
}

/** Whole milliseconds since 1970, rounded towards the past. */
export function toMilliseconds(value: Instant): number {
  return Date.parse(`${value.slice(0, 23)}Z`);
}

/** The later of two instants. */
export function later(a: Instant, b: Instant): Instant {
  return a > b ? a : b;
}

export function plus(value: Instant, nanos: bigint): Instant {
  return fromNanos(toNanos(value) + nanos);
}

/**
 * Nanoseconds of an ISO 8601 duration of fixed length (`PT24H`, `P30D`, `PT1H30M`, `PT0.5S`). A day is 24 hours.
 * Years and months have no fixed length and are refused: undefined.
 */
export function parseDuration(text: string): bigint | undefined {
  const match = DURATION.exec(text);
  if (match === null || text.endsWith("T") || text === "P") return undefined;
  const [, weeks = "0", days = "0", hours = "0", minutes = "0", seconds = "0", places = ""] = match;
  const whole = ((BigInt(weeks) * 7n + BigInt(days)) * 24n + BigInt(hours)) * 3600n + BigInt(minutes) * 60n + BigInt(seconds);
  return whole * SECOND + BigInt(places.padEnd(9, "0"));
}

export const SECOND = 1_000_000_000n;
export const MINUTE = 60n * SECOND;
export const HOUR = 60n * MINUTE;
export const DAY = 24n * HOUR;

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;
const DURATION = /^P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?$/;
const FIRST = BigInt(Date.UTC(2000, 0, 1)) * 1_000_000n - 730_485n * DAY;
const LAST = BigInt(Date.UTC(9999, 11, 31, 23, 59, 59)) * 1_000_000n + SECOND - 1n;

function isCalendarDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = month === 2 ? (leap ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return day <= days;
}
