/** What an installation is watched with. */
export { dashboard, PANELS, type Panel } from "./dashboard.ts";
