/**
 * Which addresses are loopback, and which Host headers a server answers to.
 */

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The names a server answers to; undefined for any (a server behind a proxy, protected by keys). */
export function acceptedHosts(host: string, allowed: readonly string[] | undefined): ReadonlySet<string> | undefined {
  if (allowed === undefined && !isLoopback(host)) return undefined;
  return new Set(["localhost", "127.0.0.1", "[::1]", host, ...(allowed ?? [])].map((name) => name.toLowerCase()));
}

/** The host of a `Host` header without its port. */
export function hostName(header: string | undefined): string {
  return (header ?? "").replace(/:\d*$/, "").toLowerCase();
}
