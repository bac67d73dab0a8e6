/**
 * What catalog asks of its deciders. Each command goes to one stream; the ids in it make it safe to send again.
 */
import type { Answer, ContractEvent, DocumentEvent, KeyEvent } from "@rerate/ledger";

/** A command is the event that it wants to see recorded; the stream's decider says whether it may be, or already is. */
export type CatalogCommand = ContractEvent | DocumentEvent | KeyEvent;

/** Decides a command in its stream and appends the outcome, with the expected revision. Rejects on an outage. */
export type Record = (stream: string, command: CatalogCommand) => Promise<Answer>;
