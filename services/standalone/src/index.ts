export { composeStandalone, type ComposeOptions, type Standalone, type Workers } from "./compose.ts";
