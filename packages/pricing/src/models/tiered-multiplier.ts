/**
 * Tiered multiplier: a base price times the multiplier of the fact's tier.
 *
 * Each tier is a cell of its own, so that reports count requests by tier.
 */
import { atomsExactly, formatDecimal, multiply, parseDecimal } from "@rerate/money";
import { z } from "zod";
import { cellOf, joinCells, readCell } from "../cell.ts";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { factor, key, money, value } from "../document-fields.ts";

export const tieredMultiplier = chargeModel({
  name: "tiered-multiplier",
  title: "A base price times the multiplier of the fact's tier.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: {
    base: money.describe("The price at multiplier 1."),
    dimension: key.describe("The dimension that names the tier."),
    multipliers: z.record(value, factor).describe("By the dimension's value."),
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
  },
  compile({ base, dimension, multipliers, quantity }, { unit, version }) {
    const count = counter(quantity);
    const counted = quantity ?? "requests";
    const prices = new Map(
      Object.entries(multipliers).map(([tier, multiplier]) => [tier, multiply(atomsExactly(base), parseDecimal(multiplier))]),
    );
    return {
      measure(fact, cell) {
        const tier = cellOf([dimension], fact);
        if (typeof tier !== "string") return tier;
        const label = fact.dimensions[dimension] ?? "";
        if (!prices.has(label)) {
          return { kind: "unpriced", reason: "missing-price", detail: `no multiplier for ${dimension} "${label}"` };
        }
        const units = count(fact);
        if (isUnpriced(units)) return units;
        const steps = () => [`${formatDecimal(units)} ${counted} at ${base} ${unit} × ${multipliers[label] ?? ""} (${label})`];
        return measured(joinCells(tier, cell), version, units, counted, steps);
      },
      price(cell, total) {
        const price = prices.get(readCell(cell).get(dimension) ?? "");
        if (price === undefined) throw new RangeError(`"${cell}" is no cell of this item`);
        return multiply(price, total);
      },
    };
  },
  examples: [
    {
      title: "S3: basic ×1, professional ×10, premium ×15",
      terms: { base: "0.01", dimension: "tier", multipliers: { basic: "1", professional: "10", premium: "15" } },
      facts: [
        { dimensions: { tier: "basic" } },
        { dimensions: { tier: "professional" } },
        { dimensions: { tier: "premium" } },
        { dimensions: { tier: "gold" } },
        {},
      ],
      entries: ["0.01", "0.1", "0.15", { refused: "missing-price" }, { refused: "missing-dimension" }],
    },
  ],
});
