/**
 * Time of day: a price per unit that depends on the hour (UTC) at which the fact occurred.
 *
 * The hour belongs to one fact, so it acts in the measure: the measure is the exact money and P is the identity.
 */
import { atomsExactly, formatDecimal, multiply } from "@rerate/money";
import { z } from "zod";
import { chargeModel, counter, identity, isUnpriced, measured } from "../charge-model.ts";
import { key, money, timeOfDay } from "../document-fields.ts";
import { hoursOf, inHours } from "../price-list.ts";

export const timeOfDayModel = chargeModel({
  name: "time-of-day",
  title: "A price per unit that depends on the hour (UTC).",
  revision: 1,
  measures: "atoms",
  refundBase: "marginal",
  monotone: true,
  terms: {
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
    price: money.describe("Per unit, outside all windows."),
    windows: z
      .array(z.strictObject({ from: timeOfDay, to: timeOfDay, price: money }))
      .min(1)
      .describe("From a window's start, before its end, over midnight if it ends earlier. The first that holds applies."),
  },
  problems: ({ windows }) =>
    windows.flatMap(({ from, to }, index) =>
      from === to ? [{ path: ["windows", index], message: "a window that ends where it starts holds at no time" }] : [],
    ),
  compile(terms, { unit, version }) {
    const count = counter(terms.quantity);
    const counted = terms.quantity ?? "requests";
    const windows = terms.windows.map((window) => ({
      hours: hoursOf(window),
      price: window.price,
      atoms: atomsExactly(window.price),
    }));
    const otherwise = { price: terms.price, atoms: atomsExactly(terms.price) };
    return {
      measure(fact, cell) {
        const units = count(fact);
        if (isUnpriced(units)) return units;
        const { price, atoms } = windows.find(({ hours }) => inHours(hours, fact.occurredAt)) ?? otherwise;
        const at = fact.occurredAt.slice(11, 16);
        return measured(cell, version, multiply(atoms, units), "atoms", () => [
          `${formatDecimal(units)} ${counted} × ${price} ${unit} at ${at} UTC`,
        ]);
      },
      price: identity,
    };
  },
  examples: [
    {
      // The examples' facts occur at noon.
      title: "noon lies in the peak",
      terms: { price: "0.01", windows: [{ from: "08:00", to: "18:00", price: "0.03" }] },
      facts: [{}],
      entries: ["0.03"],
    },
    {
      title: "noon lies outside of a night that goes over midnight",
      terms: { quantity: "pages", price: "0.02", windows: [{ from: "22:00", to: "06:00", price: "0.01" }] },
      facts: [{ quantities: { pages: "3" } }],
      entries: ["0.06"],
    },
    {
      title: "a window ends before its end",
      terms: { price: "0.02", windows: [{ from: "06:00", to: "12:00", price: "0.01" }] },
      facts: [{}],
      entries: ["0.02"],
    },
  ],
});
