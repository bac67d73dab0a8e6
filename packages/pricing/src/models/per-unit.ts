/** Per unit: a named quantity times a price. */
import { atomsExactly, formatDecimal, multiply } from "@rerate/money";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { key, money } from "../document-fields.ts";

export const perUnit = chargeModel({
  name: "per-unit",
  title: "A named quantity times a price.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: {
    quantity: key.describe("The quantity that is counted, for example `characters`."),
    price: money.describe("Per unit."),
  },
  compile({ quantity, price }, { unit, version }) {
    const atoms = atomsExactly(price);
    const count = counter(quantity);
    return {
      measure(fact, cell) {
        const counted = count(fact);
        if (isUnpriced(counted)) return counted;
        return measured(cell, version, counted, quantity, () => [
          `${formatDecimal(counted)} ${quantity} at ${price} ${unit} each`,
        ]);
      },
      price: (_cell, total) => multiply(atoms, total),
    };
  },
  examples: [
    {
      title: "speech by the character",
      terms: { quantity: "characters", price: "0.000016" },
      facts: [{ quantities: { characters: "1200" } }, { quantities: { characters: "0.5" } }],
      entries: ["0.0192", "0.000008"],
    },
    {
      title: "what goes beyond the allowance is charged",
      terms: { quantity: "pages", price: "0.10", allowance: "100" },
      facts: [{ quantities: { pages: "90" } }, { quantities: { pages: "15" } }, { quantities: { pages: "1" } }],
      entries: ["0", "0.5", "0.1"],
    },
    {
      title: "a fact without the quantity has no price",
      terms: { quantity: "pages", price: "0.10" },
      facts: [{ quantities: { images: "1" } }],
      entries: [{ refused: "missing-quantity" }],
    },
  ],
});
