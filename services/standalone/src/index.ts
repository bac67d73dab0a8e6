export { composeStandalone, type ComposeOptions, type Standalone } from "./compose.ts";
export type { Workers } from "./operate.ts";
