/**
 * Billing periods: calendar days, weeks and months of an account's time zone, with half-open bounds in UTC.
 *
 * The only file that knows time zones. Never reads the clock: the time comes in. Invariant: the periods of one rule and zone
 * follow each other without gap or overlap, also over a change of summer time.
 */
import { fromNanos, toNanos, type Instant } from "@rerate/money";
import { Temporal } from "temporal-polyfill";

/** Weeks are ISO weeks: they start on Monday. */
export interface PeriodRule {
  readonly every: "month" | "week" | "day";
}

export interface Period {
  /** `2023-11`, `2023-W46` or `2023-11-16`, in the account's time zone. */
  readonly key: string;
  readonly start: Instant;
  /** Exclusive: the start of the next period. */
  readonly end: Instant;
}

/** The period that an instant falls into. Throws a RangeError for an unknown time zone. */
export function periodOf(rule: PeriodRule, timeZone: string, at: Instant): Period {
  const recent = RECENT[rule.every];
  const known = recent.get(timeZone);
  if (known !== undefined && at >= known.start && at < known.end) return known;
  const day = Temporal.Instant.fromEpochNanoseconds(toNanos(at)).toZonedDateTimeISO(timeZone).toPlainDate();
  const period = periodFrom(rule, timeZone, firstDay(rule, day));
  if (recent.size >= MOST_ZONES) recent.clear();
  recent.set(timeZone, period);
  return period;
}

/** The period that follows. */
export function nextPeriod(rule: PeriodRule, timeZone: string, period: Period): Period {
  return periodOf(rule, timeZone, period.end);
}

/** Whether the name is a time zone: an IANA name such as `Europe/Berlin`, an offset such as `+05:30`, or `UTC`. */
export function isTimeZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochNanoseconds(0n).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

// The last period asked for, by zone: facts mostly come in the order of time, and asking Temporal for each would cost more than
// pricing it. Only a cache of a pure function, so it cannot change an answer.
const RECENT: Readonly<Record<PeriodRule["every"], Map<string, Period>>> = { month: new Map(), week: new Map(), day: new Map() };
const MOST_ZONES = 1000;

function firstDay(rule: PeriodRule, day: Temporal.PlainDate): Temporal.PlainDate {
  if (rule.every === "month") return day.with({ day: 1 });
  return rule.every === "week" ? day.subtract({ days: day.dayOfWeek - 1 }) : day;
}

function periodFrom(rule: PeriodRule, timeZone: string, first: Temporal.PlainDate): Period {
  const following = first.add(rule.every === "month" ? { months: 1 } : { days: rule.every === "week" ? 7 : 1 });
  return { key: keyOf(rule, first), start: startOf(first, timeZone), end: startOf(following, timeZone) };
}

function keyOf(rule: PeriodRule, first: Temporal.PlainDate): string {
  if (rule.every === "day") return first.toString();
  if (rule.every === "month") return first.toString().slice(0, 7);
  return `${first.yearOfWeek ?? first.year}-W${String(first.weekOfYear ?? 0).padStart(2, "0")}`;
}

/** The first instant of a day; where summer time skips midnight, that is the first instant after the gap. */
function startOf(day: Temporal.PlainDate, timeZone: string): Instant {
  return fromNanos(day.toZonedDateTime(timeZone).epochNanoseconds);
}
