/** Everything on one machine, each part a process of its own. */
export { startChild, type Child, type ChildOptions, type Exit } from "./child.ts";
export { runCommand } from "./command.ts";
export { ROUTES, serviceOf, startGateway, type Gateway, type ServiceName } from "./gateway.ts";
export { SERVICES, startStack, type Stack, type StackEvent, type StackOptions, type Supervised } from "./stack.ts";
