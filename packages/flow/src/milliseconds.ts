/** Whole milliseconds since 1970 of a canonical instant, rounded towards the past. */
export function toMilliseconds(instant: string): number {
  return Date.parse(`${instant.slice(0, 23)}Z`);
}
