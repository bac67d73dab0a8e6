/**
 * CSV as RFC 4180 has it: quoted fields, doubled quotes, line ends inside quotes; LF or CR LF. Streams: holds one row at a time.
 */

/** A data row with its fields by the names of the header row. `line` counts from 1 and is where the row begins. */
export interface CsvRow {
  readonly line: number;
  readonly fields: Readonly<Record<string, string>>;
}

/** The text cannot be read as CSV; the message names the line. */
export class CsvError extends Error {
  override readonly name = "CsvError";
}

/** The rows after the header. Throws a `CsvError` for a row with another number of fields than the header, and for stray quotes. */
export async function* csvRows(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<CsvRow, undefined> {
  const parser = createParser();
  let header: readonly string[] | undefined;
  const named = ({ line, values }: RawRow): CsvRow | undefined => {
    if (header === undefined) {
      header = values;
      return undefined;
    }
    if (values.length !== header.length)
      throw new CsvError(`line ${line}: ${values.length} fields, but the header has ${header.length}`);
    return { line, fields: Object.fromEntries(header.map((name, index) => [name, values[index] ?? ""])) };
  };
  for await (const chunk of chunks) {
    for (const raw of parser.push(chunk)) {
      const row = named(raw);
      if (row !== undefined) yield row;
    }
  }
  for (const raw of parser.end()) {
    const row = named(raw);
    if (row !== undefined) yield row;
  }
  return undefined;
}

interface RawRow {
  readonly line: number;
  readonly values: readonly string[];
}

interface Parser {
  push(chunk: string): RawRow[];
  end(): RawRow[];
}

/** `quoted`: inside quotes. `closed`: after a closing quote, where only a separator, a line end or a second quote may follow. */
type Mode = "start" | "plain" | "quoted" | "closed";

function createParser(): Parser {
  let mode: Mode = "start";
  let field = "";
  let values: string[] = [];
  let line = 1;
  let rowLine = 1;
  let first = true;
  let done: RawRow[] = [];

  function endField(): void {
    values.push(field);
    field = "";
    mode = "start";
  }

  function endRow(): void {
    if (values.length === 0 && field === "" && mode === "start") return;
    // A CR before the line end belongs to the line end, not to the last field.
    if (mode === "plain" && field.endsWith("\r")) field = field.slice(0, -1);
    endField();
    done.push({ line: rowLine, values });
    values = [];
  }

  /** Text without a character that means something in the present mode. */
  function addText(text: string): void {
    if (mode === "closed") {
      if (text !== "\r") throw new CsvError(`line ${line}: text after a closing quote`);
      return;
    }
    field += text;
    if (mode === "quoted") line += text.split("\n").length - 1;
    else mode = "plain";
  }

  function takeSpecial(char: string): void {
    if (mode === "quoted") mode = "closed";
    else if (char === ",") endField();
    else if (char === "\n") {
      endRow();
      line += 1;
      rowLine = line;
    } else {
      if (mode === "plain") throw new CsvError(`line ${line}: a quote in the middle of a field that does not begin with one`);
      if (mode === "closed") field += '"';
      mode = "quoted";
    }
  }

  function takeAll(text: string): void {
    for (let at = 0; at < text.length;) {
      const special = mode === "quoted" ? text.indexOf('"', at) : nextSpecial(text, at);
      const end = special < 0 ? text.length : special;
      if (end > at) addText(text.slice(at, end));
      if (special >= 0) takeSpecial(text.charAt(special));
      at = end + 1;
    }
  }

  function taken(): RawRow[] {
    const rows = done;
    done = [];
    return rows;
  }

  return {
    push(chunk) {
      const text = first && chunk.startsWith("\uFEFF") ? chunk.slice(1) : chunk;
      first &&= chunk === "";
      takeAll(text);
      return taken();
    },
    end() {
      if (mode === "quoted") throw new CsvError(`line ${rowLine}: a quoted field is never closed`);
      endRow();
      return taken();
    },
  };
}

/** Where the next separator, line end or quote stands; −1 when there is none. */
function nextSpecial(text: string, from: number): number {
  SPECIAL.lastIndex = from;
  return SPECIAL.exec(text)?.index ?? -1;
}

const SPECIAL = /[",\n]/g;
