/** The read side over HTTP: every question about balances, entries, invoices, usage and outcomes, and the page for people. */
export { routes, type BooksDeps } from "./routes.ts";
