/** Package: the period's quantity is sold in whole packages; each one begun is charged. */
import { atomsExactly, divide, formatDecimal, multiply, round } from "@rerate/money";
import { chargeModel, counter, isUnpriced, measured } from "../charge-model.ts";
import { count, countFraction, key, money } from "../document-fields.ts";

export const packages = chargeModel({
  name: "package",
  title: "The period's quantity in whole packages; each one begun is charged.",
  revision: 1,
  measures: "units",
  refundBase: "average",
  monotone: true,
  terms: {
    quantity: key.optional().describe("What is counted; each fact counts 1 if absent."),
    size: count.describe("Units in a package."),
    price: money.describe("Per package."),
  },
  problems: ({ size }) =>
    countFraction(size).n === 0n ? [{ path: ["size"], message: "a package holds more than nothing" }] : [],
  compile({ quantity, size, price }, { unit, version }) {
    const atoms = atomsExactly(price);
    const each = countFraction(size);
    const count = counter(quantity);
    const counted = quantity ?? "requests";
    return {
      measure(fact, cell) {
        const units = count(fact);
        if (isUnpriced(units)) return units;
        const steps = () => [`${formatDecimal(units)} ${counted} in packages of ${size} at ${price} ${unit}`];
        return measured(cell, version, units, counted, steps);
      },
      price: (_cell, total) => multiply(atoms, { n: round(divide(total, each), "ceiling"), d: 1n }),
    };
  },
  examples: [
    {
      title: "a begun package is charged once",
      terms: { size: 1000, price: "2.50", quantity: "images" },
      facts: [{ quantities: { images: "1" } }, { quantities: { images: "999" } }, { quantities: { images: "1001" } }],
      entries: ["2.5", "0", "5"],
    },
  ],
});
