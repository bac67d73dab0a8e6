/** What every service process is made of. */
export { createAnswerHub, type AnswerHub } from "./answer-hub.ts";
export { followCatalog, recordedAt, type CatalogViews } from "./catalog-views.ts";
export { createKeyRing, type KeyRing, type ListedKey } from "./key-ring.ts";
