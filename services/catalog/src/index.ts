export * from "./check-document.ts";
export * from "./commands.ts";
export * from "./routes.ts";
export { createCatalogService, type CatalogOptions, type CatalogService } from "./service.ts";
