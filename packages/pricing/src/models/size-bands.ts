/** Size bands: a fixed price per request, by how large its input (or any other quantity) is. Each band is a cell of its own. */
import { atomsExactly, compare, formatDecimal, multiply, ONE } from "@rerate/money";
import { z } from "zod";
import { joinCells, readCell } from "../cell.ts";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { count, countFraction, key, money, name } from "../document-fields.ts";
import { tierProblems } from "../price-tiers.ts";

export const sizeBands = chargeModel({
  name: "size-bands",
  title: "A fixed price per request, by the size of a quantity.",
  revision: 1,
  measures: "units",
  refundBase: "marginal",
  monotone: true,
  terms: {
    quantity: key.describe("The quantity whose size decides, for example `input_tokens`."),
    bands: z
      .array(
        z.strictObject({
          name,
          upTo: count.optional().describe("Where the band ends, inclusive; the last band has no end."),
          price: money.describe("Per request."),
        }),
      )
      .min(1),
  },
  problems: ({ bands }) => [
    ...tierProblems(bands, "bands"),
    ...bands.flatMap((band, index) =>
      bands.findIndex((other) => other.name === band.name) < index
        ? [{ path: ["bands", index, "name"], message: `the band "${band.name}" is named twice` }]
        : [],
    ),
  ],
  compile({ quantity, bands }, { unit, version }) {
    const size = counter(quantity);
    const compiled = bands.map((band) => ({
      ...band,
      end: band.upTo === undefined ? undefined : countFraction(band.upTo),
      atoms: atomsExactly(band.price),
    }));
    const byName = new Map(compiled.map((band) => [band.name, band.atoms]));
    return {
      measure(fact, cell) {
        const found = size(fact);
        if (isUnpriced(found)) return found;
        const band = compiled.find(({ end }) => end === undefined || compare(found, end) <= 0);
        if (band === undefined) throw new RangeError("the last band has no end");
        const steps = () => [`1 request at ${band.price} ${unit}: ${formatDecimal(found)} ${quantity} is ${band.name}`];
        return measured(joinCells(`band=${band.name}`, cell), version, ONE, "requests", steps);
      },
      price(cell, total) {
        const atoms = byName.get(readCell(cell).get("band") ?? "");
        if (atoms === undefined) throw new RangeError(`"${cell}" is no cell of this item`);
        return multiply(atoms, total);
      },
    };
  },
  examples: [
    {
      title: "S19: small, medium and large requests",
      terms: {
        quantity: "input_tokens",
        bands: [
          { name: "small", upTo: 1000, price: "0.01" },
          { name: "medium", upTo: 10_000, price: "0.05" },
          { name: "large", price: "0.20" },
        ],
      },
      facts: [
        { quantities: { input_tokens: "1000" } },
        { quantities: { input_tokens: "1001" } },
        { quantities: { input_tokens: "999999" } },
        {},
      ],
      entries: ["0.01", "0.05", "0.2", { refused: "missing-quantity" }],
    },
  ],
});
