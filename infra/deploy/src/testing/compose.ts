/** The compose file, with its anchors resolved. For tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly restart?: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly mem_limit?: string;
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export const COMPOSE_FILE = join(import.meta.dirname, "../../../compose.yaml");

/** Throws for anything that is no YAML. */
export function readCompose(): Compose {
  return parse(readFileSync(COMPOSE_FILE, "utf8"), { merge: true, strict: true, uniqueKeys: true }) as Compose;
}

/** What a service waits for, and until when. */
export function dependencies({ depends_on = {} }: ComposeService): readonly (readonly [service: string, condition: string])[] {
  return Array.isArray(depends_on)
    ? depends_on.map((name: string) => [name, "service_started"] as const)
    : Object.entries(depends_on as Readonly<Record<string, { readonly condition: string }>>).map(
        ([name, { condition }]) => [name, condition] as const,
      );
}
