/**
 * Percentage: a rate on an amount that the fact carries, with an optional fixed part, minimum and maximum for each fact.
 *
 * The limits act on one fact, so they belong to the measure: the measure is the exact money and P is the identity.
 */
import { add, atomsExactly, compare, formatDecimal, max, min, multiply, parseDecimal, ZERO } from "@rerate/money";
import { chargeModel, counter, identity, isUnpriced, measured } from "../charge-model.ts";
import { factor, key, money } from "../document-fields.ts";

export const percentage = chargeModel({
  name: "percentage",
  title: "A rate on an amount that the fact carries, with limits for each fact.",
  revision: 1,
  measures: "atoms",
  refundBase: "marginal",
  monotone: true,
  terms: {
    quantity: key.describe("The quantity that holds the amount, in major units of the item's unit."),
    rate: factor.describe("0.029 is 2.9 percent."),
    fixed: money.optional().describe("Added to each fact."),
    minimum: money.optional().describe("Of each fact."),
    maximum: money.optional().describe("Of each fact."),
  },
  problems: ({ minimum, maximum }) =>
    minimum !== undefined && maximum !== undefined && compare(parseDecimal(minimum), parseDecimal(maximum)) > 0
      ? [{ path: ["minimum"], message: "the minimum is not above the maximum" }]
      : [],
  compile(terms, { unit, version }) {
    const count = counter(terms.quantity);
    const rate = multiply(atomsExactly("1"), parseDecimal(terms.rate));
    const fixed = terms.fixed === undefined ? ZERO : atomsExactly(terms.fixed);
    const lowest = terms.minimum === undefined ? undefined : atomsExactly(terms.minimum);
    const highest = terms.maximum === undefined ? undefined : atomsExactly(terms.maximum);
    return {
      measure(fact, cell) {
        const amount = count(fact);
        if (isUnpriced(amount)) return amount;
        const charged = add(multiply(rate, amount), fixed);
        const raised = lowest === undefined ? charged : max(lowest, charged);
        const atoms = highest === undefined ? raised : min(highest, raised);
        return measured(cell, version, atoms, "atoms", () => [
          `${formatDecimal(amount)} ${unit} × ${terms.rate}${terms.fixed === undefined ? "" : ` + ${terms.fixed} ${unit}`}`,
          ...(compare(raised, charged) > 0 ? [`at least ${terms.minimum} ${unit}`] : []),
          ...(compare(atoms, raised) < 0 ? [`at most ${terms.maximum} ${unit}`] : []),
        ]);
      },
      price: identity,
    };
  },
  examples: [
    {
      title: "2.9 percent and 0.30, at least 1, at most 50",
      terms: { quantity: "volume", rate: "0.029", fixed: "0.30", minimum: "1", maximum: "50" },
      facts: [{ quantities: { volume: "100" } }, { quantities: { volume: "1" } }, { quantities: { volume: "10000" } }, {}],
      entries: ["3.2", "1", "50", { refused: "missing-quantity" }],
    },
  ],
});
