/** Graduated: each tier prices the part of the period's quantity that falls into it. */
import { formatDecimal } from "@rerate/money";
import { z } from "zod";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { key } from "../document-fields.ts";
import { compileTiers, graduatedPrice, priceTier, tierProblems } from "../price-tiers.ts";

export const graduated = chargeModel({
  name: "graduated",
  title: "Each tier prices the part of the period's quantity that falls into it.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
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
        return measured(cell, version, units, counted, () => [`${formatDecimal(units)} ${counted} at graduated prices`]);
      },
      price: (_cell, total) => graduatedPrice(compiled, total),
    };
  },
  examples: [
    {
      title: "the first hundred at 0.10, then 0.05",
      terms: { tiers: [{ upTo: 100, price: "0.10" }, { price: "0.05" }], quantity: "pages" },
      facts: [{ quantities: { pages: "90" } }, { quantities: { pages: "20" } }, { quantities: { pages: "1" } }],
      entries: ["9", "1.5", "0.05"],
    },
    {
      title: "a tier's fee is due when the quantity reaches into the tier",
      terms: {
        tiers: [
          { upTo: 2, price: "0", fee: "5" },
          { price: "1", fee: "3" },
        ],
      },
      facts: [{}, {}, {}],
      entries: ["5", "0", "4"],
    },
  ],
});
