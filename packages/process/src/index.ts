/** What every service process is made of. */
export { createAnswerHub, type AnswerHub } from "./answer-hub.ts";
export { hearAnswers, publishAnswers } from "./answers.ts";
export { followCatalog, recordedAt, type CatalogViews } from "./catalog-views.ts";
export { createKeyRing, type KeyRing, type ListedKey } from "./key-ring.ts";
export { isKeyless, serve, VERSION, type ServeOptions } from "./http-server.ts";
export { decodeParked, operateRoutes, type OperateDeps } from "./operate-routes.ts";
export { heardStatuses, sayStatus, statusOf } from "./heartbeat.ts";
export { countRefused, observeProcess, observeStatus } from "./process-metrics.ts";
export { reconcile } from "./reconcile.ts";
export { runService } from "./run-service.ts";
export {
  busTopics,
  startService,
  type DoorSurroundings,
  type ServiceOptions,
  type ServiceParts,
  type ServiceProcess,
  type ServiceWorker,
} from "./service-process.ts";
export { GROUPS, readStreamStatus, retryElsewhere } from "./stream-status.ts";
