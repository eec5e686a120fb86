// SPDX-License-Identifier: Apache-2.0
/**
 * Releases of QEMU whose streams differ (qmp-migration.md 14.1). A source writes for one of them, `x-godwit-peer`; a
 * destination reads them all. Machine types without a version always have the newest form of their release, so the
 * form that every later release reads is that of 7.2.
 */
export const PEER_RELEASES = ['7.2', '8.0', '8.1', '8.2', '9.0', '9.1', '9.2', '10.0', '10.1', '10.2', '11.0'] as const;
export type PeerRelease = (typeof PEER_RELEASES)[number];

/** The form of a source's stream. */
export interface StreamDialect {
  /** SWITCHOVER_START goes out when the guest has been stopped; 9.2 and older do not know the command. */
  readonly switchoverStart: boolean;
  /** `globalstate` says whether the machine was suspended; the bytes can be read as the older form. */
  readonly globalStateSuspended: boolean;
}

export function dialectOf(peer: PeerRelease): StreamDialect {
  const at = PEER_RELEASES.indexOf(peer);
  return {
    switchoverStart: at >= PEER_RELEASES.indexOf('10.0'),
    globalStateSuspended: at >= PEER_RELEASES.indexOf('9.0'),
  };
}

/** The newest known release that is not newer than `release` (as in `8.2`); `7.2` for older ones and for nonsense. */
export function peerFor(release: string): PeerRelease {
  const value = (text: string): number => {
    const [major = 0, minor = 0] = text.split('.').map(Number);
    return major * 1000 + minor;
  };
  const wanted = value(release);
  return PEER_RELEASES.findLast((known) => value(known) <= wanted) ?? '7.2';
}
