/**
 * Volume: the tier that the period's whole quantity lies in prices all of it.
 *
 * A single entry may be negative: the fact that reaches a cheaper tier brings the others down with it. The sum is what counts.
 */
import { add, formatDecimal, multiply, ZERO } from "@rerate/money";
import { z } from "zod";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { key } from "../document-fields.ts";
import { compileTiers, priceTier, tierOf, tierProblems } from "../price-tiers.ts";

export const volume = chargeModel({
  name: "volume",
  title: "The tier that the period's whole quantity lies in prices all of it.",
  revision: 1,
  measures: "units",
  refundBase: "average",
  monotone: false,
  terms: {
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
    tiers: z.array(priceTier).min(1),
  },
  problems: ({ tiers }) => tierProblems(tiers, "tiers"),
  compile({ quantity, tiers }, { version }) {
    const compiled = compileTiers(tiers);
    const count = counter(quantity);
    const counted = quantity ?? "requests";
    return {
      measure(fact, cell) {
        const units = count(fact);
        if (isUnpriced(units)) return units;
        return measured(cell, version, units, counted, () => [
          `${formatDecimal(units)} ${counted} at the price of the whole volume`,
        ]);
      },
      price(_cell, total) {
        if (total.n <= 0n) return ZERO;
        const tier = tierOf(compiled, total);
        return add(multiply(tier.price, total), tier.fee);
      },
    };
  },
  examples: [
    {
      title: "beyond a hundred, all of them cost less",
      terms: { tiers: [{ upTo: 100, price: "0.10" }, { price: "0.05" }], quantity: "pages" },
      facts: [{ quantities: { pages: "100" } }, { quantities: { pages: "1" } }, { quantities: { pages: "99" } }],
      entries: ["10", "-4.95", "4.95"],
    },
  ],
});
