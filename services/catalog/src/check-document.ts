/**
 * Reads a document text: which kind it is, whether it is valid, and which version it would be.
 *
 * Lists every problem with its line and column. Publishes nothing.
 */
import { documentHash, type DocumentKind } from "@rerate/ledger";
import { outcomeDefinitionSchema } from "@rerate/outcomes";
import { planSchema, priceListSchema, readDocument, type Problem, type ReadDocument } from "@rerate/pricing";
import { documentHeadSchema } from "@rerate/wire";

export type CheckedDocument =
  | { readonly ok: true; readonly kind: DocumentKind; readonly id: string; readonly hash: string; readonly document: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks a YAML or JSON text. The kind is what the document says it is. */
export function checkDocument(text: string): CheckedDocument {
  const head = readDocument(text, documentHeadSchema);
  if (!head.ok) return head;
  const { kind } = head.value;
  const read = readKind(text, kind);
  if (!read.ok) return read;
  const { id } = read.value;
  return { ok: true, kind, id, hash: documentHash(read.value), document: read.value };
}

function readKind(text: string, kind: DocumentKind): ReadDocument<{ readonly id: string }> {
  if (kind === "plan") return readDocument(text, planSchema);
  return kind === "price-list" ? readDocument(text, priceListSchema) : readDocument(text, outcomeDefinitionSchema);
}
