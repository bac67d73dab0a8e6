/** Cost-plus: what the request cost us, with a markup and an optional fixed part. */
import { add, atomsExactly, formatDecimal, multiply, ONE, parseDecimal, ZERO } from "@rerate/money";
import { chargeModel, counter, identity, isUnpriced, measured } from "../charge-model.ts";
import { factor, key, money } from "../document-fields.ts";

export const costPlus = chargeModel({
  name: "cost-plus",
  title: "What the request cost, with a markup.",
  revision: 1,
  measures: "atoms",
  refundBase: "marginal",
  monotone: true,
  terms: {
    quantity: key.optional().describe("The quantity that holds the cost, in major units of the item's unit; `cost` if absent."),
    markup: factor.describe("0.25 adds a quarter to the cost."),
    fixed: money.optional().describe("Added to each fact."),
  },
  compile(terms, { unit, version }) {
    const count = counter(terms.quantity ?? "cost");
    const times = multiply(atomsExactly("1"), add(ONE, parseDecimal(terms.markup)));
    const fixed = terms.fixed === undefined ? ZERO : atomsExactly(terms.fixed);
    return {
      measure(fact, cell) {
        const cost = count(fact);
        if (isUnpriced(cost)) return cost;
        const more = terms.fixed === undefined ? "" : ` + ${terms.fixed} ${unit}`;
        return measured(cell, version, add(multiply(times, cost), fixed), "atoms", () => [
          `cost ${formatDecimal(cost)} ${unit} × (1 + ${terms.markup})${more}`,
        ]);
      },
      price: identity,
    };
  },
  examples: [
    {
      title: "a quarter on top of the cost",
      terms: { markup: "0.25", fixed: "0.001" },
      facts: [{ quantities: { cost: "0.02" } }, { quantities: { cost: "0" } }, {}],
      entries: ["0.026", "0.001", { refused: "missing-quantity" }],
    },
  ],
});
