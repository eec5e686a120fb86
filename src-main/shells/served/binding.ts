// SPDX-License-Identifier: Apache-2.0
/** Where the server listens, and under which names browsers may ask for it. */
import { BlockList, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '::1'] as const;
const WILDCARDS: readonly string[] = ['0.0.0.0', '::'];

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an address is reached from this box alone. `localhost` is one: see `listenAddress`. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host === 'localhost';
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

/** What to bind. A hosts file could give `localhost` any meaning, and twice. */
export const listenAddress = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host);

/**
 * The Host allow list, without ports. A name that an attacker lets point here (DNS rebinding) is not on it; addresses
 * and the box's own name are safe from that.
 */
export function servedNames(host: string, further: readonly string[]): readonly string[] {
  const own = isLoopback(host) ? [...LOOPBACK_NAMES, host] : [host, hostname()];
  const everywhere = WILDCARDS.includes(host) ? [...LOOPBACK_NAMES, ...ownAddresses()] : [];
  return [...new Set([...own, ...everywhere, ...further].map((name) => name.toLowerCase()))];
}

/** The name that a start link carries. */
export function linkName(host: string, further: readonly string[]): string {
  return further[0] ?? (WILDCARDS.includes(host) ? hostname() : host);
}

/** As in a URL. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
