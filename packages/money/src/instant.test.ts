import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DAY,
  fromMilliseconds,
  fromNanos,
  HOUR,
  instant,
  later,
  MINUTE,
  parseDuration,
  parseInstant,
  plus,
  SECOND,
  toMilliseconds,
  toNanos,
} from "./instant.ts";

const FIRST = toNanos(instant("0000-01-01T00:00:00Z"));
const LAST = toNanos(instant("9999-12-31T23:59:59.999999999Z"));
const nanos = fc.bigInt({ min: FIRST, max: LAST });

describe("instants", () => {
  test("have one canonical text in UTC with nine places", () => {
    expect(instant("2023-11-16T18:15:46.6805900Z")).toBe("2023-11-16T18:15:46.680590000Z");
    expect(instant("2023-11-16t18:15:46z")).toBe("2023-11-16T18:15:46.000000000Z");
  });

  test("with an offset are moved to UTC, over days, months and years", () => {
    expect(instant("2024-01-01T00:30:00.5+01:00")).toBe("2023-12-31T23:30:00.500000000Z");
    expect(instant("2024-02-28T23:00:00-02:00")).toBe("2024-02-29T01:00:00.000000000Z");
    expect(instant("2024-06-01T00:00:00+05:45")).toBe("2024-05-31T18:15:00.000000000Z");
    expect(instant("2024-06-01T00:00:00-00:00")).toBe("2024-06-01T00:00:00.000000000Z");
  });

  test("know leap days", () => {
    const exists = (day: string) => parseInstant(`${day}T12:00:00Z`) !== undefined;
    expect(["2024-02-29", "2000-02-29", "0000-02-29", "2023-02-29", "1900-02-29", "2100-02-29"].map(exists)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(["2024-04-31", "2024-00-10", "2024-13-01", "2024-01-00", "2024-01-32"].some(exists)).toBe(false);
  });

  test("that do not exist or are written otherwise are none", () => {
    for (const text of [
      "",
      "2024-01-01",
      "2024-01-01T00:00:00",
      "2024-01-01 00:00:00Z",
      "2024-01-01T24:00:00Z",
      "2024-01-01T00:60:00Z",
      "2024-12-31T23:59:60Z",
      "2024-01-01T00:00:00.1234567890Z",
      "2024-01-01T00:00:00.Z",
      "2024-01-01T00:00:00+1:00",
      "2024-01-01T00:00:00+25:00",
      "2024-01-01T00:00:00+01:60",
      "+02024-01-01T00:00:00Z",
      "0000-01-01T00:00:00+00:01",
      "9999-12-31T23:59:59-00:01",
    ]) {
      expect([text, parseInstant(text)]).toEqual([text, undefined]);
      expect(() => instant(text)).toThrow(RangeError);
    }
  });

  test("convert to nanoseconds and back without loss", () => {
    fc.assert(
      fc.property(nanos, (value) => {
        expect(toNanos(fromNanos(value))).toBe(value);
        expect(parseInstant(fromNanos(value))).toBe(fromNanos(value));
      }),
    );
    expect(fromNanos(-1n)).toBe("1969-12-31T23:59:59.999999999Z");
    expect(() => fromNanos(FIRST - 1n)).toThrow(RangeError);
    expect(() => fromNanos(LAST + 1n)).toThrow(RangeError);
  });

  test("compare as texts the way they compare in time", () => {
    fc.assert(
      fc.property(nanos, nanos, (a, b) => {
        expect(fromNanos(a) < fromNanos(b)).toBe(a < b);
        expect(later(fromNanos(a), fromNanos(b))).toBe(fromNanos(a > b ? a : b));
      }),
    );
  });

  test("count milliseconds towards the past", () => {
    expect(toMilliseconds(instant("1970-01-01T00:00:00.001999999Z"))).toBe(1);
    expect(toMilliseconds(instant("1969-12-31T23:59:59.999999999Z"))).toBe(-1);
    expect(fromMilliseconds(-1)).toBe("1969-12-31T23:59:59.999000000Z");
  });

  test("an offset moves an instant and nothing else", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: FIRST + 2n * DAY, max: LAST - 2n * DAY }),
        fc.integer({ min: -1439, max: 1439 }),
        (value, offset) => {
          const local = fromNanos(value + BigInt(offset) * MINUTE).slice(0, -1);
          const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
          const zone = `${offset < 0 ? "-" : "+"}${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
          expect(instant(`${local}${zone}`)).toBe(fromNanos(value));
        },
      ),
    );
  });

  test("move by nanoseconds", () => {
    expect(plus(instant("2024-02-28T23:59:59.999999999Z"), 1n)).toBe("2024-02-29T00:00:00.000000000Z");
    expect(plus(instant("2024-03-01T00:00:00Z"), -DAY)).toBe("2024-02-29T00:00:00.000000000Z");
  });
});

describe("durations", () => {
  test("of fixed length have nanoseconds", () => {
    expect(parseDuration("PT24H")).toBe(DAY);
    expect(parseDuration("P30D")).toBe(30n * DAY);
    expect(parseDuration("P2W1DT1H30M0.5S")).toBe(15n * DAY + HOUR + 30n * MINUTE + SECOND / 2n);
    expect(parseDuration("PT0S")).toBe(0n);
    expect(parseDuration("PT0.000000001S")).toBe(1n);
  });

  test("of varying length, or written otherwise, are none", () => {
    for (const text of ["", "P", "PT", "P1DT", "P1M", "P1Y", "24H", "PT1.5H", "-PT1H", "PT1H ", "P1H", "PT1D"]) {
      expect([text, parseDuration(text)]).toEqual([text, undefined]);
    }
  });
});
