import { describe, expect, test } from "vitest";
import { csvRows } from "./csv.ts";

async function rows(...chunks: readonly string[]): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { line, fields } of csvRows(chunks)) found.push([line, fields]);
  return found;
}

describe("CSV", () => {
  test("names fields by the header and counts lines", async () => {
    expect(await rows("a,b\n1,2\n3,\n")).toEqual([
      [2, { a: "1", b: "2" }],
      [3, { a: "3", b: "" }],
    ]);
  });

  test("reads quotes, doubled quotes, separators and line ends inside quotes", async () => {
    expect(await rows('a,b\n"1,5","say ""hi""\nthere"\nx,"y"\n')).toEqual([
      [2, { a: "1,5", b: 'say "hi"\nthere' }],
      [4, { a: "x", b: "y" }],
    ]);
  });

  test("gives the same rows however the text is cut, with CR LF, a byte order mark, and no end of the last line", async () => {
    const text = '\uFEFFid,note\r\n1,"a ""b"""\r\n2,\r\n3,c';
    const whole = await rows(text);
    expect(whole).toEqual([
      [2, { id: "1", note: 'a "b"' }],
      [3, { id: "2", note: "" }],
      [4, { id: "3", note: "c" }],
    ]);
    expect(await rows(...Array.from(text))).toEqual(whole);
  });

  test("skips empty lines and keeps quoted emptiness", async () => {
    expect(await rows('a\n\n""\nx\n')).toEqual([
      [3, { a: "" }],
      [4, { a: "x" }],
    ]);
  });

  test.each([
    ["a,b\n1\n", "line 2: 1 fields, but the header has 2"],
    ['a\n"x\n', "line 2: a quoted field is never closed"],
    ['a\nx"y\n', "line 2: a quote in the middle"],
    ['a\n"x"y\n', "line 2: text after a closing quote"],
  ])("refuses %j and names the line", async (text, message) => {
    await expect(rows(text)).rejects.toThrow(message);
  });
});
