// SPDX-License-Identifier: Apache-2.0
/** struct kvm_vcpu_events of <asm/kvm.h>: what is on its way into the guest. */

export const KVM_EVENTS_BYTES = 64;

/** KVM_VCPUEVENT_VALID_*: which parts KVM_SET_VCPU_EVENTS takes. */
export const EVENT_NMI_PENDING = 0x01;
export const EVENT_SIPI_VECTOR = 0x02;
export const EVENT_SHADOW = 0x04;
export const EVENT_SMM = 0x08;
export const EVENT_PAYLOAD = 0x10;

/** KVM_X86_SHADOW_INT_*: why interrupts are held off for one instruction. */
export const SHADOW_MOV_SS = 0x01;
export const SHADOW_STI = 0x02;

export interface VcpuEvents {
  readonly exceptionInjected: number;
  readonly exceptionNr: number;
  readonly exceptionHasErrorCode: number;
  readonly exceptionPending: number;
  readonly exceptionErrorCode: number;
  readonly interruptInjected: number;
  readonly interruptNr: number;
  readonly interruptSoft: number;
  readonly interruptShadow: number;
  readonly nmiInjected: number;
  readonly nmiPending: number;
  readonly nmiMasked: number;
  readonly sipiVector: number;
  readonly flags: number;
  readonly smm: number;
  readonly smiPending: number;
  readonly smmInsideNmi: number;
  readonly latchedInit: number;
  readonly tripleFaultPending: number;
  readonly exceptionHasPayload: number;
  readonly exceptionPayload: bigint;
}

const BYTE_OFFSETS = {
  exceptionInjected: 0,
  exceptionNr: 1,
  exceptionHasErrorCode: 2,
  exceptionPending: 3,
  interruptInjected: 8,
  interruptNr: 9,
  interruptSoft: 10,
  interruptShadow: 11,
  nmiInjected: 12,
  nmiPending: 13,
  nmiMasked: 14,
  smm: 24,
  smiPending: 25,
  smmInsideNmi: 26,
  latchedInit: 27,
  tripleFaultPending: 28,
  exceptionHasPayload: 55,
} as const;
const WORD_OFFSETS = { exceptionErrorCode: 4, sipiVector: 16, flags: 20 } as const;
const PAYLOAD_OFFSET = 56;

type ByteName = keyof typeof BYTE_OFFSETS;
type WordName = keyof typeof WORD_OFFSETS;
const BYTE_NAMES = Object.keys(BYTE_OFFSETS) as ByteName[];
const WORD_NAMES = Object.keys(WORD_OFFSETS) as WordName[];

export function parseEvents(bytes: Buffer): VcpuEvents {
  const small = Object.fromEntries(BYTE_NAMES.map((name) => [name, bytes.readUInt8(BYTE_OFFSETS[name])]));
  const words = Object.fromEntries(WORD_NAMES.map((name) => [name, bytes.readUInt32LE(WORD_OFFSETS[name])]));
  return {
    ...(small as Record<ByteName, number>),
    ...(words as Record<WordName, number>),
    exceptionPayload: bytes.readBigUInt64LE(PAYLOAD_OFFSET),
  };
}

export function buildEvents(events: VcpuEvents): Buffer {
  const bytes = Buffer.alloc(KVM_EVENTS_BYTES);
  for (const name of BYTE_NAMES) bytes.writeUInt8(events[name], BYTE_OFFSETS[name]);
  for (const name of WORD_NAMES) bytes.writeUInt32LE(events[name], WORD_OFFSETS[name]);
  bytes.writeBigUInt64LE(events.exceptionPayload, PAYLOAD_OFFSET);
  return bytes;
}

/** Nothing on its way. */
export const NO_EVENTS: VcpuEvents = parseEvents(Buffer.alloc(KVM_EVENTS_BYTES));
