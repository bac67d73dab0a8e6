/**
 * HTML as text in which everything is escaped unless it is HTML already. The only place that lets text into a page.
 */

/** Finished HTML; made by `html` and `trusted` only. */
export interface Html {
  readonly html: string;
}

export type Piece = Html | string | number | readonly Html[];

/** A template: texts and numbers are escaped, HTML is put in as it is. */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  let out = parts[0] ?? "";
  pieces.forEach((piece, index) => {
    out += textOf(piece) + (parts[index + 1] ?? "");
  });
  return { html: out };
}

/** For constants of this program that are HTML already and must stay byte for byte: style and script, whose hashes are promised. */
export function trusted(constant: string): Html {
  return { html: constant };
}

/** Escapes for element content and for attribute values in either kind of quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (char) => `&#${char.charCodeAt(0)};`);
}

export const NOTHING: Html = trusted("");

function textOf(piece: Piece): string {
  if (typeof piece === "string") return escapeHtml(piece);
  if (typeof piece === "number") return String(piece);
  if ("html" in piece) return piece.html;
  return piece.map(({ html }) => html).join("");
}
