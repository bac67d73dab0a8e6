/**
 * `rerate keys`: create, list, revoke API keys. A secret is shown once, when it is made.
 */
import { InvalidArgumentError, type Command } from "commander";
import { examples, type Act } from "../command-line.ts";
import { table } from "../terminal.ts";

const ROLES = ["emit", "read-account", "read", "operate", "audit"] as const;
type Role = (typeof ROLES)[number];

export function addKeyCommands(program: Command, act: Act): void {
  const keys = program.command("keys").description("create, list and revoke API keys");

  keys
    .command("create")
    .description("create a key; it is shown this once")
    .requiredOption("--role <role>", ROLES.join(", "), roleOf)
    .requiredOption("--label <text>", "for people; not secret")
    .option("--account <name>", "for read-account keys")
    .option("--namespace <name>", "the books it opens; other ones than yours only on a server without keys")
    .addHelpText(
      "after",
      examples(
        "keys create --role emit --label 'production api'",
        "keys create --role read-account --account acme --label portal",
      ),
    )
    .action(
      async (
        options: { readonly role: Role; readonly label: string; readonly account?: string; readonly namespace?: string },
        command: Command,
      ) =>
        act(command, async ({ client, terminal }) => {
          const read = await client.createKey(options);
          terminal.result(read, () => [read.key, `This is shown once. Key ${read.id}, role ${read.role}.`]);
          return undefined;
        }),
    );

  keys
    .command("list")
    .description("list keys")
    .addHelpText("after", examples("keys list"))
    .action(async (_options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.keys();
        terminal.result(read, () =>
          table(
            ["id", "role", "account", "label", "created", "state"],
            read.keys.map((row) => [
              row.id,
              row.role,
              row.account ?? "",
              row.label,
              row.createdAt,
              row.revoked ? "revoked" : "valid",
            ]),
          ),
        );
        return undefined;
      }),
    );

  keys
    .command("revoke <id>")
    .description("revoke a key")
    .addHelpText("after", examples("keys revoke k_4f2a"))
    .action(async (id: string, _options: object, command: Command) =>
      act(command, async ({ client, terminal }) => {
        const read = await client.revokeKey(id);
        terminal.result(read, () => [`${id} is revoked (${read.status}).`]);
        return undefined;
      }),
    );
}

function roleOf(text: string): Role {
  const role = ROLES.find((each) => each === text);
  if (role === undefined) throw new InvalidArgumentError(`It must be one of ${ROLES.join(", ")}.`);
  return role;
}
