/**
 * One at a time per stream, without a cost for those that do not meet.
 *
 * A round takes all its streams in one step, so rounds queue in the same order at every stream and cannot deadlock.
 */

export interface StreamLocks {
  /** Takes all streams. `ready` is undefined when they were free. */
  take(streams: readonly string[]): { readonly ready: Promise<unknown> | undefined; readonly release: () => void };
}

export function createStreamLocks(): StreamLocks {
  const last = new Map<string, Promise<void>>();
  return {
    take(streams) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let before: Set<Promise<void>> | undefined;
      for (const stream of streams) {
        const held = last.get(stream);
        if (held !== undefined) (before ??= new Set()).add(held);
        last.set(stream, promise);
      }
      return {
        ready: before === undefined ? undefined : Promise.all(before),
        release() {
          for (const stream of streams) if (last.get(stream) === promise) last.delete(stream);
          resolve();
        },
      };
    },
  };
}
