/**
 * Streams whose invariants are broken. Their messages are held back (parked) so that their partition does not stall.
 *
 * In memory only: after a restart a stream gets one chance, and breaks again if the cause is still there.
 */

export interface Quarantined {
  readonly stream: string;
  readonly problem: string;
  readonly since: string;
}

export interface Quarantine {
  readonly size: number;
  add(quarantined: Quarantined): void;
  problemOf(stream: string): string | undefined;
  release(stream: string): void;
  list(): readonly Quarantined[];
}

export function createQuarantine(): Quarantine {
  const streams = new Map<string, Quarantined>();
  return {
    get size() {
      return streams.size;
    },
    add(quarantined) {
      if (!streams.has(quarantined.stream)) streams.set(quarantined.stream, quarantined);
    },
    problemOf: (stream) => streams.get(stream)?.problem,
    release: (stream) => void streams.delete(stream),
    list: () => [...streams.values()],
  };
}
