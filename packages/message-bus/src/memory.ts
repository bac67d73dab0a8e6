/**
 * The message bus in memory: for tests and for the simulation, which schedules every step through `defer`.
 *
 * The same code as the embedded bus, over storage without a disk; encodes every message as the others do.
 */
import { createLocalBus, type LocalBus, type LocalBusOptions } from "./local-bus.ts";
import { createMemoryStorage } from "./memory-storage.ts";
import type { BusStorage } from "./storage.ts";

/** `storage` lets a new bus go on where an earlier one stopped or died; by default it starts empty. */
export function createMemoryBus(options: LocalBusOptions, storage: BusStorage = createMemoryStorage()): LocalBus {
  return createLocalBus(options, storage);
}
