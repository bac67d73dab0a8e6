/**
 * Amounts of money and credits: whole atoms (10⁻⁹ of a currency's major unit, or of one credit) with their unit.
 *
 * Owns the text form of amounts. On every wire an amount is a plain decimal string; nothing here touches floating point.
 */
import { currencyExponent } from "./currency.ts";
import { fraction, parseDecimal, type Fraction } from "./fraction.ts";
import { round, roundToMultiple, type RoundingMode } from "./rounding.ts";

/** One major unit (one dollar, one credit) in atoms. */
export const ATOMS_PER_UNIT = 1_000_000_000n;

/** Reads a decimal amount exactly. Throws a RangeError for more than nine decimal places or anything that is no plain decimal. */
export function parseAmount(text: string): bigint {
  const exact = atomsExactly(text);
  if (exact.d !== 1n) throw new RangeError(`"${text}" has more than nine decimal places`);
  return exact.n;
}

/** Reads a decimal amount of any precision as an exact fraction of atoms: the form prices have. */
export function atomsExactly(text: string): Fraction {
  const units = parseDecimal(text);
  return fraction(units.n * ATOMS_PER_UNIT, units.d);
}

/** Reads a decimal of any precision, also with an exponent (`1.2e-7`), rounded half-even to atoms. For costs as published by others. */
export function parseAmountRounded(text: string): bigint {
  const match = SCIENTIFIC.exec(text);
  if (match === null) throw new RangeError(`"${text}" is not a number`);
  const units = parseDecimal(match[1] ?? "");
  const exponent = Number(match[2] ?? "0");
  if (Math.abs(exponent) > 30) throw new RangeError(`"${text}" is out of range`);
  const scale = 10n ** BigInt(Math.abs(exponent));
  const exact =
    exponent < 0 ? fraction(units.n * ATOMS_PER_UNIT, units.d * scale) : fraction(units.n * ATOMS_PER_UNIT * scale, units.d);
  return round(exact);
}

/** Prints atoms as a plain decimal, without trailing zeros: `10500000n` is `"0.0105"`. */
export function formatAmount(atoms: bigint): string {
  if (atoms < 0n) return `-${formatAmount(-atoms)}`;
  // By cutting digits, because every stored entry passes here and two divisions of a bigint cost more than all the rest.
  const digits = atoms.toString().padStart(10, "0");
  const point = digits.length - 9;
  let end = digits.length;
  while (end > point && digits[end - 1] === "0") end -= 1;
  return end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`;
}

/** Prints atoms with at least the minor unit's places of their unit: `345.31`, `12.00`; credits print whole. */
export function formatMinor(atoms: bigint, unit: string): string {
  const places = currencyExponent(unit) ?? 0;
  const text = formatAmount(atoms);
  const [whole = "0", decimals = ""] = text.split(".");
  return places === 0 && decimals === "" ? whole : `${whole}.${decimals.padEnd(places, "0")}`;
}

/** Atoms of one minor unit: 10,000,000 for USD, one whole unit for JPY and for credits. */
export function minorUnitAtoms(unit: string): bigint {
  return ATOMS_PER_UNIT / 10n ** BigInt(currencyExponent(unit) ?? 0);
}

/** Rounds to the unit's minor unit: the one rounding an invoice makes. */
export function roundToMinor(atoms: bigint, unit: string, mode: RoundingMode = "half-even"): bigint {
  return roundToMultiple(atoms, minorUnitAtoms(unit), mode);
}

const SCIENTIFIC = /^(-?\d+(?:\.\d+)?)(?:[eE]([+-]?\d+))?$/;
