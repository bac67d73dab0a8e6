/** Matrix: a price per unit for each combination of dimension values. Each combination is a cell of its own. */
import { atomsExactly, formatDecimal, multiply } from "@rerate/money";
import { z } from "zod";
import { cellOf, joinCells, readCell } from "../cell.ts";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { key, money, value } from "../document-fields.ts";

export const matrix = chargeModel({
  name: "matrix",
  title: "A price per unit for each combination of dimension values.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: {
    dimensions: z.array(key).min(1).describe("The dimensions, in the order of each row's values."),
    rows: z.array(z.strictObject({ values: z.array(value).min(1), price: money })).min(1),
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
  },
  problems: ({ dimensions, rows }) =>
    rows.flatMap(({ values }, index) => {
      const path = ["rows", index, "values"];
      if (values.length !== dimensions.length) return [{ path, message: "a row has one value for each dimension" }];
      const earlier = rows.slice(0, index).some((row) => row.values.every((text, at) => text === values[at]));
      return earlier ? [{ path, message: "this combination has a price already" }] : [];
    }),
  compile({ dimensions, rows, quantity }, { unit, version }) {
    const count = counter(quantity);
    const counted = quantity ?? "requests";
    const keyOf = (values: readonly (string | undefined)[]) => JSON.stringify(values);
    const prices = new Map(rows.map(({ values, price }) => [keyOf(values), { price, atoms: atomsExactly(price) }]));
    return {
      measure(fact, cell) {
        const own = cellOf(dimensions, fact);
        if (typeof own !== "string") return own;
        const row = prices.get(keyOf(dimensions.map((dimension) => fact.dimensions[dimension])));
        if (row === undefined) return { kind: "unpriced", reason: "missing-price", detail: `no row for ${own}` };
        const units = count(fact);
        if (isUnpriced(units)) return units;
        const steps = () => [`${formatDecimal(units)} ${counted} at ${row.price} ${unit} each (${own})`];
        return measured(joinCells(own, cell), version, units, counted, steps);
      },
      price(cell, total) {
        const values = readCell(cell);
        const row = prices.get(keyOf(dimensions.map((dimension) => values.get(dimension))));
        if (row === undefined) throw new RangeError(`"${cell}" is no cell of this item`);
        return multiply(row.atoms, total);
      },
    };
  },
  examples: [
    {
      title: "images by size and quality",
      terms: {
        dimensions: ["size", "quality"],
        quantity: "images",
        rows: [
          { values: ["1024", "standard"], price: "0.04" },
          { values: ["1024", "hd"], price: "0.08" },
        ],
      },
      facts: [
        { dimensions: { size: "1024", quality: "hd" }, quantities: { images: "2" } },
        { dimensions: { size: "1024", quality: "standard" }, quantities: { images: "1" } },
        { dimensions: { size: "512", quality: "hd" }, quantities: { images: "1" } },
        { dimensions: { size: "1024" }, quantities: { images: "1" } },
      ],
      entries: ["0.16", "0.04", { refused: "missing-price" }, { refused: "missing-dimension" }],
    },
  ],
});
