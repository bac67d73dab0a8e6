import { formatAmount, parseAmount, roundToMinor } from "@rerate/money";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { StoredRow } from "../store.ts";
import { sectionOf } from "./invoices.ts";

test("invoice lines and the rounding line always sum to the rounded exact total", () => {
  const amounts = fc.array(fc.bigInt(-(2n ** 70n), 2n ** 70n), { maxLength: 12 });
  fc.assert(
    fc.property(amounts, fc.constantFrom("USD", "JPY", "BHD", "CREDIT"), fc.bigInt(0n, 10n ** 12n), (booked, unit, drawn) => {
      const lines = booked.map((atoms, index): StoredRow<"invoiceLines"> => {
        const sum = { n: atoms, d: 1n };
        return {
          key: ["default", "a", "2026-01", unit, `i${index}`, "charge", "requests", ""],
          row: { quantity: 1, exact: sum, booked: sum, entries: 1 },
        };
      });
      const section = sectionOf(unit, lines, drawn);
      const exact = booked.reduce((sum, atoms) => sum + atoms, 0n);
      const shown = section.lines.reduce((sum, line) => sum + parseAmount(line.amount), parseAmount(section.rounding));
      expect(shown).toBe(parseAmount(section.total));
      expect(section.total).toBe(formatAmount(roundToMinor(exact, unit)));
      expect(parseAmount(section.due)).toBe(parseAmount(section.total) - parseAmount(section.credits));
      expect(section.lines.reduce((sum, line) => sum + parseAmount(line.exactAmount), 0n)).toBe(exact);
    }),
  );
});
