/**
 * `rerate document`: publish, list, show, validate. Documents are plans, price lists and outcome definitions.
 */
import { InvalidArgumentError, type Command } from "commander";
import { readFile } from "node:fs/promises";
import { examples, type Act } from "../command-line.ts";
import { EXIT } from "../failure.ts";
import { table } from "../terminal.ts";

type Kind = "plan" | "price-list" | "outcome-definition";

export function addDocumentCommands(program: Command, act: Act): void {
  const document = program.command("document").description("publish and read plans, price lists and outcome definitions");

  document
    .command("publish <file>")
    .description("publish a new immutable version of a YAML or JSON document")
    .option(
      "--effective-from <time>",
      "from when facts use this version (default: a first version from the beginning, another shortly from now)",
    )
    .addHelpText("after", examples("document publish examples/plans/chat-gpt-4-turbo.yaml --effective-from 2026-01-01T00:00:00Z"))
    .action(async (file: string, options: { readonly effectiveFrom?: string }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.publishDocument(await readFile(file, "utf8"), options);
        terminal.result(read, () => [
          `${read.kind} ${read.id} ${read.status === "published" ? "is published" : "was published before"}, effective from ${read.effectiveFrom}`,
          `hash ${read.hash}`,
        ]);
        return undefined;
      }),
    );

  document
    .command("list")
    .description("list published versions")
    .option("--kind <kind>", "plan, price-list or outcome-definition", kindOf)
    .option("--id <id>", "versions of one document")
    .addHelpText("after", examples("document list --kind plan"))
    .action(async (options: { readonly kind?: Kind; readonly id?: string }, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.documents(options);
        terminal.result(read, () =>
          table(
            ["kind", "id", "effective from", "hash"],
            read.documents.map((row) => [row.kind, row.id, row.effectiveFrom, row.hash]),
          ),
        );
        return undefined;
      }),
    );

  document
    .command("show <hash>")
    .description("show one version")
    .addHelpText("after", examples("document show 3f5a…"))
    .action(async (hash: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.document(hash);
        terminal.result(read, () => [
          `${read.kind} ${read.id}, effective from ${read.effectiveFrom}`,
          JSON.stringify(read.document, undefined, 2),
        ]);
        return undefined;
      }),
    );

  document
    .command("validate <file>")
    .description("check a document without publishing it; ends with 1 when it is not valid")
    .addHelpText("after", examples("document validate plan.yaml"))
    .action(async (file: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.validateDocument(await readFile(file, "utf8"));
        terminal.result(read, () =>
          read.valid
            ? [`${file}: a valid ${read.kind ?? "document"} ${read.id ?? ""}, hash ${read.hash ?? ""}`]
            : read.problems.map(
                ({ line, column, path, message }) => `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`,
              ),
        );
        return read.valid ? undefined : EXIT.difference;
      }),
    );
}

function kindOf(text: string): Kind {
  if (text === "plan" || text === "price-list" || text === "outcome-definition") return text;
  throw new InvalidArgumentError("It must be plan, price-list or outcome-definition.");
}
