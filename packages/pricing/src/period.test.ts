import { fromNanos, instant, toNanos, HOUR, DAY } from "@rerate/money";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isTimeZone, nextPeriod, periodOf, type PeriodRule } from "./period.ts";

const MONTH: PeriodRule = { every: "month" };
const WEEK: PeriodRule = { every: "week" };
const DAILY: PeriodRule = { every: "day" };

test("a month is a calendar month of the account's time zone", () => {
  expect(periodOf(MONTH, "UTC", instant("2023-11-16T18:15:46.68Z"))).toEqual({
    key: "2023-11",
    start: instant("2023-11-01T00:00:00Z"),
    end: instant("2023-12-01T00:00:00Z"),
  });
  expect(periodOf(MONTH, "Europe/Berlin", instant("2023-10-31T23:30:00Z"))).toEqual({
    key: "2023-11",
    start: instant("2023-10-31T23:00:00Z"),
    end: instant("2023-11-30T23:00:00Z"),
  });
});

test("bounds are half-open: the end belongs to the next period", () => {
  const period = periodOf(MONTH, "Asia/Tokyo", instant("2024-02-10T00:00:00Z"));
  expect(periodOf(MONTH, "Asia/Tokyo", fromNanos(toNanos(period.end) - 1n))).toEqual(period);
  expect(periodOf(MONTH, "Asia/Tokyo", period.end).key).toBe("2024-03");
  expect(nextPeriod(MONTH, "Asia/Tokyo", period)).toEqual(periodOf(MONTH, "Asia/Tokyo", period.end));
});

test("weeks are ISO weeks and start on Monday, also over a new year", () => {
  expect(periodOf(WEEK, "UTC", instant("2023-11-19T23:59:59.999999999Z"))).toEqual({
    key: "2023-W46",
    start: instant("2023-11-13T00:00:00Z"),
    end: instant("2023-11-20T00:00:00Z"),
  });
  expect(periodOf(WEEK, "UTC", instant("2027-01-01T00:00:00Z")).key).toBe("2026-W53");
});

test("a day of summer time has 23 or 25 hours", () => {
  const spring = periodOf(DAILY, "Europe/Berlin", instant("2024-03-31T10:00:00Z"));
  expect(toNanos(spring.end) - toNanos(spring.start)).toBe(23n * HOUR);
  const autumn = periodOf(DAILY, "Europe/Berlin", instant("2024-10-27T10:00:00Z"));
  expect(toNanos(autumn.end) - toNanos(autumn.start)).toBe(25n * HOUR);
});

test("where summer time skips midnight, the day starts after the gap", () => {
  const day = periodOf(DAILY, "America/Santiago", instant("2024-09-08T12:00:00Z"));
  expect(day).toEqual({ key: "2024-09-08", start: instant("2024-09-08T04:00:00Z"), end: instant("2024-09-09T03:00:00Z") });
});

test("periods follow each other without gap or overlap, in any order of asking", () => {
  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "America/Santiago",
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(MONTH, WEEK, DAILY),
      fc.constantFrom(...zones),
      fc.bigInt({ min: 0n, max: 30_000n * DAY }),
      (rule, zone, nanos) => {
        const at = fromNanos(nanos);
        const period = periodOf(rule, zone, at);
        expect(period.start <= at && at < period.end).toBe(true);
        const next = nextPeriod(rule, zone, period);
        expect(next.start).toBe(period.end);
        expect(next.key > period.key).toBe(true);
        expect(periodOf(rule, zone, period.start)).toEqual(period);
      },
    ),
    { numRuns: 200 },
  );
});

test("an unknown time zone is an error, and can be asked for beforehand", () => {
  expect(() => periodOf(MONTH, "Mars/Olympus", instant("2024-01-01T00:00:00Z"))).toThrow(RangeError);
  expect([isTimeZone("Mars/Olympus"), isTimeZone("Europe/Berlin"), isTimeZone("+05:30")]).toEqual([false, true, true]);
});
