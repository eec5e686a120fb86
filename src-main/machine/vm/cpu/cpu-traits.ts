// SPDX-License-Identifier: Apache-2.0
import type { CpuidEntry } from '../../native/index.ts';
import { AVX_LAYOUT, xsaveLayout } from './xsave-layout.ts';
import type { XsaveLayout } from './xsave-layout.ts';

/** What the mapping between KVM's structures and the stream must know about host and CPU model. */
export interface CpuTraits {
  /** Components of KVM's XSAVE image: the host's. */
  readonly xsave: XsaveLayout;
  /** MAXPHYADDR of the guest. */
  readonly physicalAddressBits: number;
  /** MCG_CAP; 0 for a CPU without machine check. */
  readonly mcgCap: bigint;
}

const DEFAULT_PHYSICAL_ADDRESS_BITS = 40;

export const DEFAULT_TRAITS: CpuTraits = {
  xsave: AVX_LAYOUT,
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
    physicalAddressBits: addresses === undefined ? DEFAULT_PHYSICAL_ADDRESS_BITS : addresses.eax & 0xff,
    mcgCap: 0n,
  };
}
