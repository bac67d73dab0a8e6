/**
 * Flat: a fixed amount for each fact, or one for the whole period as soon as there is any.
 *
 * Per period and with `cellBy: [user]` it is the price of an active user.
 */
import { atomsExactly, ONE, ZERO, multiply } from "@rerate/money";
import { z } from "zod";
import { chargeModel, measured } from "../charge-model.ts";
import { money } from "../document-fields.ts";

export const flat = chargeModel({
  name: "flat",
  title: "A fixed amount for each fact, or once per period with any usage.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: {
    amount: money,
    per: z.enum(["fact", "period"]).optional().describe("fact if absent; period: once, whatever the number of facts."),
  },
  compile({ amount, per }, { unit, version }) {
    const atoms = atomsExactly(amount);
    const once = per === "period";
    const steps = [`1 request at ${amount} ${unit} ${once ? "for the period" : "each"}`];
    return {
      measure: (_fact, cell) => measured(cell, version, ONE, "requests", () => steps),
      price: (_cell, quantity) => (once ? (quantity.n > 0n ? atoms : ZERO) : multiply(atoms, quantity)),
    };
  },
  examples: [
    { title: "each call costs the same", terms: { amount: "0.02" }, facts: [{}, {}], entries: ["0.02", "0.02"] },
    { title: "an active month costs once", terms: { amount: "5", per: "period" }, facts: [{}, {}, {}], entries: ["5", "0", "0"] },
    {
      title: "the first two calls are free",
      terms: { amount: "1", allowance: 2 },
      facts: [{}, {}, {}],
      entries: ["0", "0", "1"],
    },
  ],
});
