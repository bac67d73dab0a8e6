/** Credits: so many per request, so many per unit of any quantity. The measure is the exact credits, so P is the identity. */
import { add, atomsExactly, formatDecimal, multiply, ZERO } from "@rerate/money";
import { z } from "zod";
import { chargeModel, counter, identity, isUnpriced, measured } from "../charge-model.ts";
import { key, money } from "../document-fields.ts";

export const credits = chargeModel({
  name: "credits",
  title: "Credits per request and per unit of named quantities; the item's unit names the credits.",
  revision: 1,
  measures: "atoms",
  refundBase: "marginal",
  monotone: true,
  terms: {
    perRequest: money.optional().describe("Credits for each fact."),
    perUnit: z.record(key, money).optional().describe("Credits per unit, by the quantity's name. All of them must be given."),
  },
  problems: ({ perRequest, perUnit }) =>
    perRequest === undefined && perUnit === undefined ? [{ path: [], message: "credits need perRequest or perUnit" }] : [],
  compile({ perRequest, perUnit }, { unit, version }) {
    const fixed = perRequest === undefined ? ZERO : atomsExactly(perRequest);
    const parts = Object.entries(perUnit ?? {}).map(([quantity, price]) => ({
      quantity,
      price,
      atoms: atomsExactly(price),
      count: counter(quantity),
    }));
    return {
      measure(fact, cell) {
        let atoms = fixed;
        const steps = perRequest === undefined ? [] : [`1 request at ${perRequest} ${unit}`];
        for (const part of parts) {
          const units = part.count(fact);
          if (isUnpriced(units)) return units;
          atoms = add(atoms, multiply(part.atoms, units));
          steps.push(`${formatDecimal(units)} ${part.quantity} at ${part.price} ${unit} each`);
        }
        return measured(cell, version, atoms, "atoms", () => steps);
      },
      price: identity,
    };
  },
  examples: [
    { title: "S5: ten credits a request", terms: { unit: "credits", perRequest: "10" }, facts: [{}, {}], entries: ["10", "10"] },
    {
      title: "one a request and half a credit per image",
      terms: { unit: "credits", perRequest: "1", perUnit: { images: "0.5" } },
      facts: [{ quantities: { images: "3" } }, {}],
      entries: ["2.5", { refused: "missing-quantity" }],
    },
  ],
});
