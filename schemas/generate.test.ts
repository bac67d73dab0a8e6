import { expect, test } from "vitest";
import { staleFiles } from "./generate.ts";

test("the generated files are what the schemas say (else run: node schemas/generate.ts)", () => {
  expect(staleFiles()).toEqual([]);
});
