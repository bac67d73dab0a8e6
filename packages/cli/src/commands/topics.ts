/**
 * `rerate topics`: Kafka's topics, created and checked as the services need them. Talks to the brokers of KAFKA_BROKERS.
 */
import { checkStreamTopics, createStreamTopics, moveStreamGroup, readConfig, type Config } from "@rerate/runtime";
import { TOPIC_TABLE } from "@rerate/wire";
import { Argument, type Command } from "commander";
import { examples, type Act } from "../command-line.ts";
import { EXIT } from "../failure.ts";
import { table } from "../terminal.ts";

export function addTopicCommands(program: Command, act: Act): void {
  const topics = program
    .command("topics")
    .description("Kafka's topics: needs KAFKA_BROKERS, and RERATE_PARTITIONS as the services have it");

  topics
    .command("create")
    .description("create the topics that are missing, and raise partition counts that are too low; changes nothing else")
    .addHelpText("after", examples("topics create"))
    .action(async (_options: object, command: Command) =>
      act(command, async ({ terminal }) => {
        const done = await createStreamTopics(streamConfig(), TOPIC_TABLE);
        terminal.result({ done }, () => (done.length === 0 ? ["All topics are there already."] : done));
        return undefined;
      }),
    );

  topics
    .command("check")
    .description("whether every topic is as the services need it; ends with 1 and says what differs when one is not")
    .addHelpText("after", examples("topics check"))
    .action(async (_options: object, command: Command) =>
      act(command, async ({ terminal }) => {
        const deviations = await checkStreamTopics(streamConfig(), TOPIC_TABLE);
        terminal.result({ ok: deviations.length === 0, deviations }, () =>
          deviations.length === 0
            ? [`All ${TOPIC_TABLE.length} topics are as they must be.`]
            : table(
                ["topic", "problem"],
                deviations.map(({ topic, problem }) => [topic, problem]),
              ),
        );
        return deviations.length === 0 ? undefined : EXIT.difference;
      }),
    );

  topics
    .command("move-group")
    .description(
      "put a service's consumers at the beginning or the end of a topic, after they stopped because they stood outside its log; stop the service first. From the beginning nothing is billed twice; at the end, what lies before is left out",
    )
    .argument("<group>", "the service's name, for example settlement")
    .addArgument(new Argument("<topic>", "the topic's name").choices(TOPIC_TABLE.map(({ name }) => name)))
    .addArgument(new Argument("<to>", "where to").choices(["beginning", "end"]))
    .addHelpText("after", examples("topics move-group settlement usage.accepted beginning"))
    .action(async (group: string, topic: string, to: "beginning" | "end", _options: object, command: Command) =>
      act(command, async ({ terminal }) => {
        await moveStreamGroup(streamConfig(), group, topic, to);
        terminal.result({ group, topic, to }, () => [`${group} goes on at the ${to} of ${topic}.`]);
        return undefined;
      }),
    );
}

function streamConfig(): Config {
  return readConfig("kafka");
}
