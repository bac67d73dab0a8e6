/**
 * Agent tasks as billing facts: each task is a usage of type `agent.task`, its judgement a signal, what it cost a cost.
 *
 * Pure. The publisher restated costs later: where a cost was published and differs, the restatement is a correction (revision 1);
 * where none was published it is a cost of its own. A task that nobody judged gets no signal: its outcome times out.
 */
import type { Instant } from "@rerate/money";
import type { CostBody, SignalBody, UsageEventBody } from "@rerate/wire";
import type { AccountRule } from "./account-rule.ts";
import type { CsvRow } from "./csv.ts";
import { RowError } from "./usage-rows.ts";

export interface AgentTaskOptions {
  readonly account: AccountRule;
  /** Default `agent-tasks`. */
  readonly source?: string;
  /** When the tasks ran and their costs arose: the file does not say. */
  readonly at: Instant;
}

export interface AgentTaskFacts {
  readonly usage: UsageEventBody;
  readonly signal: SignalBody | undefined;
  /** The cost as published; and as restated, where that differs or is the first. */
  readonly published: CostBody | undefined;
  readonly restated: CostBody | undefined;
}

/** Rows with `harness, model, benchmark, task_id, resolved, cost_usd_published, cost_usd_restated`. */
export function agentTaskFacts({ account, source = "agent-tasks", at }: AgentTaskOptions): (row: CsvRow) => AgentTaskFacts {
  return (row) => {
    const [harness, model, benchmark, task] = ["harness", "model", "benchmark", "task_id"].map((column) => required(row, column));
    const id = `${model}|${benchmark}|${task}`;
    const subject = account(id);
    const about = { source, id };
    const verdict = signalOf(row);
    const cost = (costId: string, amount: string, more: Partial<CostBody> = {}): CostBody => {
      return { source, id: costId, account: subject, time: at, amount, currency: "USD", about, ...more };
    };
    const before = row.fields["cost_usd_published"] ?? "";
    const after = row.fields["cost_usd_restated"] ?? "";
    const costId = `${id}|cost`;
    return {
      usage: {
        specversion: "1.0",
        type: "agent.task",
        source,
        id,
        subject,
        time: at,
        data: { model: model ?? "", requests: 1, dimensions: { benchmark: benchmark ?? "", harness: harness ?? "" } },
      },
      signal:
        verdict === undefined
          ? undefined
          : { source, id: `${id}|judged`, account: subject, outcome: about, signal: verdict, time: at },
      published: before === "" ? undefined : cost(costId, before),
      restated:
        after === "" || after === before
          ? undefined
          : before === ""
            ? cost(costId, after)
            : cost(`${costId}|restated`, after, { corrects: { source, id: costId }, revision: 1 }),
    };
  };
}

function signalOf(row: CsvRow): "resolved" | "unresolved" | undefined {
  const text = row.fields["resolved"] ?? "";
  if (text === "") return undefined;
  if (text === "true") return "resolved";
  if (text === "false") return "unresolved";
  throw new RowError(`line ${row.line}: resolved is "${text}"; it must be true, false or empty`);
}

function required(row: CsvRow, column: string): string {
  const text = row.fields[column] ?? "";
  if (text === "") throw new RowError(`line ${row.line}: ${column} is missing`);
  return text;
}
