/** Waits for all, also when one rejects, so that nothing goes on behind the back of what follows. Then rejects with the first. */
export async function allSettled(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === "rejected") throw result.reason;
}
