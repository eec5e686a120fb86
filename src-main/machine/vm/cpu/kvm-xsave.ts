// SPDX-License-Identifier: Apache-2.0
/**
 * struct kvm_xsave of <asm/kvm.h>: an XSAVE image in the standard format. 512 bytes as FXSAVE64 writes them, a header
 * of 64 bytes, then the components of {@link XsaveLayout}.
 */
import type { XsaveLayout } from './xsave-layout.ts';

export interface X87Register {
  readonly mantissa: bigint;
  /** Sign and exponent, 16 bits. */
  readonly exponent: number;
}

/** Registers of the floating-point and vector units. Vectors are arrays of quads, least significant first. */
export interface FpuState {
  readonly fcw: number;
  /** With TOP in bits 11–13. */
  readonly fsw: number;
  /** Bit i: physical register i is in use. */
  readonly tag: number;
  readonly fop: number;
  readonly fip: bigint;
  readonly fdp: bigint;
  readonly mxcsr: number;
  /** ST(0) to ST(7). */
  readonly st: readonly X87Register[];
  readonly xmm: readonly (readonly bigint[])[];
  readonly ymmHigh: readonly (readonly bigint[])[];
  readonly opmask: readonly bigint[];
  readonly zmmHigh: readonly (readonly bigint[])[];
  readonly hi16Zmm: readonly (readonly bigint[])[];
  readonly pkru: number;
  /** Components that are not in their initial state. */
  readonly xstateBv: bigint;
}

const OFFSET = { fcw: 0, fsw: 2, tag: 4, fop: 6, fip: 8, fdp: 16, mxcsr: 24, mxcsrMask: 28, st: 32, xmm: 160 } as const;
/** The kernel's own notes in an image it hands out; it ignores them in one it is given. */
const SOFTWARE_OFFSET = 464;
const LEGACY_BYTES = 512;
const HEADER_OFFSET = LEGACY_BYTES;

export function parseXsave(bytes: Buffer, layout: XsaveLayout): FpuState {
  const quads = (offset: number, count: number): bigint[] =>
    Array.from({ length: count }, (_, index) => bytes.readBigUInt64LE(offset + index * 8));
  const vectors = (offset: number | undefined, registers: number, quadsEach: number): bigint[][] =>
    Array.from({ length: registers }, (_, index) =>
      offset === undefined ? new Array<bigint>(quadsEach).fill(0n) : quads(offset + index * quadsEach * 8, quadsEach),
    );
  return {
    fcw: bytes.readUInt16LE(OFFSET.fcw),
    fsw: bytes.readUInt16LE(OFFSET.fsw),
    tag: bytes.readUInt8(OFFSET.tag),
    fop: bytes.readUInt16LE(OFFSET.fop),
    fip: bytes.readBigUInt64LE(OFFSET.fip),
    fdp: bytes.readBigUInt64LE(OFFSET.fdp),
    mxcsr: bytes.readUInt32LE(OFFSET.mxcsr),
    st: Array.from({ length: 8 }, (_, index) => ({
      mantissa: bytes.readBigUInt64LE(OFFSET.st + index * 16),
      exponent: bytes.readUInt16LE(OFFSET.st + index * 16 + 8),
    })),
    xmm: vectors(OFFSET.xmm, 16, 2),
    ymmHigh: vectors(layout.avx, 16, 2),
    opmask: layout.opmask === undefined ? new Array<bigint>(8).fill(0n) : quads(layout.opmask, 8),
    zmmHigh: vectors(layout.zmmHigh, 16, 4),
    hi16Zmm: vectors(layout.hi16Zmm, 16, 8),
    pkru: layout.pkru === undefined ? 0 : bytes.readUInt32LE(layout.pkru),
    xstateBv: bytes.readBigUInt64LE(HEADER_OFFSET),
  };
}

/** The image for KVM_SET_XSAVE, as long as `base`, whose MXCSR mask and kernel notes are kept. */
export function buildXsave(state: FpuState, layout: XsaveLayout, base: Buffer): Buffer {
  const bytes = Buffer.alloc(base.length);
  const writeQuads = (offset: number, quads: readonly bigint[]) =>
    quads.forEach((quad, index) => bytes.writeBigUInt64LE(quad, offset + index * 8));
  const writeVectors = (offset: number | undefined, vectors: readonly (readonly bigint[])[]) => {
    if (offset !== undefined) writeQuads(offset, vectors.flat());
  };
  base.copy(bytes, OFFSET.mxcsrMask, OFFSET.mxcsrMask, OFFSET.mxcsrMask + 4);
  base.copy(bytes, SOFTWARE_OFFSET, SOFTWARE_OFFSET, LEGACY_BYTES);
  bytes.writeUInt16LE(state.fcw, OFFSET.fcw);
  bytes.writeUInt16LE(state.fsw, OFFSET.fsw);
  bytes.writeUInt8(state.tag, OFFSET.tag);
  bytes.writeUInt16LE(state.fop, OFFSET.fop);
  writeQuads(OFFSET.fip, [state.fip, state.fdp]);
  bytes.writeUInt32LE(state.mxcsr, OFFSET.mxcsr);
  state.st.forEach(({ mantissa, exponent }, index) => {
    bytes.writeBigUInt64LE(mantissa, OFFSET.st + index * 16);
    bytes.writeUInt16LE(exponent, OFFSET.st + index * 16 + 8);
  });
  writeVectors(OFFSET.xmm, state.xmm);
  writeVectors(layout.avx, state.ymmHigh);
  if (layout.opmask !== undefined) writeQuads(layout.opmask, state.opmask);
  writeVectors(layout.zmmHigh, state.zmmHigh);
  writeVectors(layout.hi16Zmm, state.hi16Zmm);
  if (layout.pkru !== undefined) bytes.writeUInt32LE(state.pkru, layout.pkru);
  bytes.writeBigUInt64LE(state.xstateBv, HEADER_OFFSET);
  return bytes;
}
