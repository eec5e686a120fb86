// SPDX-License-Identifier: Apache-2.0
import type { CpuidEntry } from '../../native/index.ts';
import { AVX_LAYOUT, xsaveLayout, XSTATE_CARRIED, XSTATE_SSE, XSTATE_X87 } from './xsave-layout.ts';
import type { XsaveLayout } from './xsave-layout.ts';

/** What the mapping between KVM's structures and the stream must know about host and CPU model. */
export interface CpuTraits {
  /** Components of KVM's XSAVE image: the host's. */
  readonly xsave: XsaveLayout;
  /**
   * Components that can hold something of the guest's. KVM's image may hold more: PKRU is always there, and on a guest
   * without protection keys it is the host's.
   */
  readonly components: bigint;
  /** MAXPHYADDR of the guest. */
  readonly physicalAddressBits: number;
  /** MCG_CAP; 0 for a CPU without machine check. */
  readonly mcgCap: bigint;
}

const DEFAULT_PHYSICAL_ADDRESS_BITS = 40;

export const DEFAULT_TRAITS: CpuTraits = {
  xsave: AVX_LAYOUT,
  components: XSTATE_CARRIED,
  physicalAddressBits: DEFAULT_PHYSICAL_ADDRESS_BITS,
  mcgCap: 0n,
};

/**
 * @param hostCpuid what KVM supports, `supportedCpuid()`
 * @param guestCpuid what the guest is shown, the entries of `buildCpuid()`
 */
export function cpuTraits(hostCpuid: readonly CpuidEntry[], guestCpuid: readonly CpuidEntry[]): CpuTraits {
  const addresses = guestCpuid.find((entry) => entry.function === 0x80000008);
  return {
    xsave: xsaveLayout(hostCpuid),
    components: shownComponents(guestCpuid) | XSTATE_X87 | XSTATE_SSE,
    physicalAddressBits: addresses === undefined ? DEFAULT_PHYSICAL_ADDRESS_BITS : addresses.eax & 0xff,
    mcgCap: 0n,
  };
}

function shownComponents(guestCpuid: readonly CpuidEntry[]): bigint {
  const leaf = guestCpuid.find((entry) => entry.function === 0x0d && entry.index === 0);
  return leaf === undefined ? 0n : (BigInt(leaf.edx) << 32n) | BigInt(leaf.eax);
}
