/**
 * What a command prints: results on standard output, as people or as programs read them; everything else on standard error.
 */
import Table from "cli-table3";

export interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether standard error is a terminal on which a line can be written again. */
  readonly live: boolean;
}

export interface Terminal {
  readonly json: boolean;
  /** The one result of a command: a JSON document with --json, lines otherwise. */
  result(value: unknown, lines: () => readonly string[]): void;
  /** A note for people; nothing with --json. */
  note(text: string): void;
  /** Shows how far something is, on a terminal only. */
  progress(text: string): void;
  /** Clears the progress line. */
  done(): void;
}

export function createTerminal({ out, err, live }: Streams, json: boolean): Terminal {
  let shown = 0;
  const clear = (): void => {
    if (shown > 0) err(`\r${" ".repeat(shown)}\r`);
    shown = 0;
  };
  return {
    json,
    result(value, lines) {
      clear();
      out(json ? `${JSON.stringify(value, bigintAsText, 2)}\n` : `${lines().join("\n")}\n`);
    },
    note(text) {
      if (json) return;
      clear();
      err(`${text}\n`);
    },
    progress(text) {
      if (json || !live) return;
      const line = text.slice(0, 100);
      err(`\r${line.padEnd(shown)}`);
      shown = line.length;
    },
    done: clear,
  };
}

/** A table without colours; numbers are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return ["(none)"];
  const aligns = head.map((_, column) =>
    rows.every((row) => NUMBER.test(row[column] ?? "")) ? ("right" as const) : ("left" as const),
  );
  const drawn = new Table({ head: [...head], colAligns: aligns, style: { head: [], border: [], compact: true }, chars: LINES });
  for (const row of rows) drawn.push([...row]);
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd());
}

const NUMBER = /^$|^[-+]?[\d.,]+( [A-Za-z]{1,8})?$/;

const LINES = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
