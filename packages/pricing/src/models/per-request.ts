/** Per request: a price for each request; a fact may stand for several by its quantity `requests`. */
import { atomsExactly, formatDecimal, multiply, ONE, quantityFraction } from "@rerate/money";
import { chargeModel, measured } from "../charge-model.ts";
import { money } from "../document-fields.ts";

export const perRequest = chargeModel({
  name: "per-request",
  title: "A price for each request.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: { price: money.describe("Per request. A fact that carries the quantity `requests` stands for that many.") },
  compile({ price }, { unit, version }) {
    const atoms = atomsExactly(price);
    return {
      measure(fact, cell) {
        const text = fact.quantities["requests"];
        const requests = text === undefined ? ONE : quantityFraction(text);
        return measured(cell, version, requests, "requests", () => [
          `${formatDecimal(requests)} requests at ${price} ${unit} each`,
        ]);
      },
      price: (_cell, total) => multiply(atoms, total),
    };
  },
  examples: [
    {
      title: "a fact is one request, or as many as it says",
      terms: { price: "0.02" },
      facts: [{}, { quantities: { requests: "25" } }, { quantities: { requests: "0" } }],
      entries: ["0.02", "0.5", "0"],
    },
  ],
});
