/** Stairstep: one amount for the whole quantity of a period, by the step it lies on. */
import { atomsExactly, compare, formatDecimal, ZERO } from "@rerate/money";
import { z } from "zod";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { count, countFraction, key, money } from "../document-fields.ts";
import { tierProblems } from "../price-tiers.ts";

export const stairstep = chargeModel({
  name: "stairstep",
  title: "One amount for the period's whole quantity, by the step it lies on.",
  revision: 1,
  measures: "units",
  refundBase: "average",
  monotone: false,
  terms: {
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
    steps: z.array(z.strictObject({ upTo: count.optional().describe("Where the step ends, inclusive."), amount: money })).min(1),
  },
  problems: ({ steps }) => tierProblems(steps, "steps"),
  compile({ quantity, steps }, { version }) {
    const stairs = steps.map((step) => ({
      upTo: step.upTo === undefined ? undefined : countFraction(step.upTo),
      atoms: atomsExactly(step.amount),
    }));
    const count = counter(quantity);
    const counted = quantity ?? "requests";
    return {
      measure(fact, cell) {
        const units = count(fact);
        if (isUnpriced(units)) return units;
        return measured(cell, version, units, counted, () => [`${formatDecimal(units)} ${counted} on a stairstep`]);
      },
      price(_cell, total) {
        if (total.n <= 0n) return ZERO;
        return stairs.find(({ upTo }) => upTo === undefined || compare(total, upTo) <= 0)?.atoms ?? ZERO;
      },
    };
  },
  examples: [
    {
      title: "up to two for 10, up to five for 20, beyond for 50",
      terms: { steps: [{ upTo: 2, amount: "10" }, { upTo: 5, amount: "20" }, { amount: "50" }] },
      facts: [{}, {}, {}, {}, {}, {}],
      entries: ["10", "0", "10", "0", "0", "30"],
    },
  ],
});
