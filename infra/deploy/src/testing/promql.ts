/** What an expression of Prometheus names, by Prometheus' own grammar. For tests. */
import { parser } from "@prometheus-io/lezer-promql";

export interface Named {
  readonly metrics: readonly string[];
  /** Labels that it selects, groups or joins by. */
  readonly labels: readonly string[];
}

/** Throws for an expression that Prometheus would refuse. */
export function namedIn(expression: string): Named {
  const found = { metrics: new Set<string>(), labels: new Set<string>() };
  parser.parse(expression).iterate({
    enter({ name, type, from, to, node }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`not an expression of Prometheus at ${from}: ${expression}`);
      if (name === "LabelName") found.labels.add(text);
      if (name === "Identifier" && node.parent?.name === "VectorSelector") found.metrics.add(text);
    },
  });
  return { metrics: [...found.metrics], labels: [...found.labels] };
}
