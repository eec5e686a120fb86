// SPDX-License-Identifier: Apache-2.0
/**
 * Components of the XSAVE image in its standard format, by their bit in XCR0. Where the components beyond SSE lie
 * differs between vendors: CPUID leaf 0Dh says it.
 */
import type { CpuidEntry } from '../../native/index.ts';

export const XSTATE_X87 = 1n << 0n;
export const XSTATE_SSE = 1n << 1n;
export const XSTATE_AVX = 1n << 2n;
export const XSTATE_OPMASK = 1n << 5n;
export const XSTATE_ZMM_HIGH = 1n << 6n;
export const XSTATE_HI16_ZMM = 1n << 7n;
export const XSTATE_AVX512 = XSTATE_OPMASK | XSTATE_ZMM_HIGH | XSTATE_HI16_ZMM;
export const XSTATE_PKRU = 1n << 9n;
/** What the `cpu` section can carry. */
export const XSTATE_CARRIED = XSTATE_X87 | XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512 | XSTATE_PKRU;

export const XSTATE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'x87'],
  [1, 'SSE'],
  [2, 'AVX'],
  [3, 'MPX bounds registers'],
  [4, 'MPX configuration'],
  [5, 'AVX-512 masks'],
  [6, 'AVX-512 ZMM0–15'],
  [7, 'AVX-512 ZMM16–31'],
  [8, 'processor trace'],
  [9, 'PKRU'],
  [11, 'CET user'],
  [12, 'CET supervisor'],
  [17, 'AMX tile configuration'],
  [18, 'AMX tiles'],
]);

/** Offsets of the components in the image, bytes; undefined where this host's image has none. */
export interface XsaveLayout {
  readonly avx: number | undefined;
  readonly opmask: number | undefined;
  readonly zmmHigh: number | undefined;
  readonly hi16Zmm: number | undefined;
  readonly pkru: number | undefined;
}

const AVX_OFFSET = 576;

/** The image of a host that has AVX and nothing beyond it. */
export const AVX_LAYOUT: XsaveLayout = {
  avx: AVX_OFFSET,
  opmask: undefined,
  zmmHigh: undefined,
  hi16Zmm: undefined,
  pkru: undefined,
};

/** The layout of KVM's image: that of the host's CPUID, whatever the guest is shown. */
export function xsaveLayout(hostCpuid: readonly CpuidEntry[]): XsaveLayout {
  const offset = (component: number): number | undefined => {
    const leaf = hostCpuid.find((entry) => entry.function === 0x0d && entry.index === component);
    return leaf === undefined || leaf.eax === 0 ? undefined : leaf.ebx;
  };
  return { avx: offset(2) ?? AVX_OFFSET, opmask: offset(5), zmmHigh: offset(6), hi16Zmm: offset(7), pkru: offset(9) };
}
