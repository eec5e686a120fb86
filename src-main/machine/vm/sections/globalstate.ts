// SPDX-License-Identifier: Apache-2.0
/**
 * The run state at the moment of saving. Both forms are 104 bytes and either can be read as the other; they differ in
 * the description, and in two bytes that say whether the machine was suspended before it was stopped.
 */
import { isRunState } from '../../../../src-shared/migration/status.ts';
import { buffer, uint32, uint8 } from '../../engine/vmstate/fields.ts';
import { defineTable } from '../../engine/vmstate/table.ts';
import type { TableState } from '../../engine/vmstate/table.ts';

const TEXT_BYTES = 100;
/** Room for the text in the form of 9.0 and later; all names fit, so the older form is read the same way. */
const SHORT_TEXT_BYTES = 32;
const HAS_SUSPENDED_OFFSET = SHORT_TEXT_BYTES;
const SUSPENDED_OFFSET = SHORT_TEXT_BYTES + 1;

/** The form of releases up to 8.2. It reads both forms: see {@link readGlobalState}. */
export const globalStateTable = defineTable({
  name: 'globalstate',
  version: 1,
  fields: [uint32('size'), buffer('runState', TEXT_BYTES, 'runstate')],
  check: (state) => checkText(state.size, state.runState),
});

/** The form of releases from 9.0. */
export const globalStateTable90 = defineTable({
  name: 'globalstate',
  version: 1,
  fields: [
    uint32('size'),
    buffer('runState', SHORT_TEXT_BYTES, 'runstate'),
    uint8('hasSuspended', 'has_vm_was_suspended'),
    uint8('suspended', 'vm_was_suspended'),
    buffer('unused', TEXT_BYTES - SHORT_TEXT_BYTES - 2),
  ],
  check: (state) => checkText(state.size, state.runState),
});

export type GlobalStateSection = TableState<typeof globalStateTable>;
export type GlobalStateSection90 = TableState<typeof globalStateTable90>;

export interface GlobalState {
  readonly runState: string;
  /** Whether the machine was suspended before it was stopped, where the source says so. */
  readonly wasSuspended?: boolean;
}

/** The section as releases up to 8.2 write it, which all read. */
export function globalStateSection(runState: string): GlobalStateSection {
  return { size: runState.length + 1, runState: textBuffer(runState, TEXT_BYTES) };
}

/** The section as releases from 9.0 write it. */
export function globalStateSection90(runState: string, wasSuspended = false): GlobalStateSection90 {
  return {
    size: runState.length + 1,
    runState: textBuffer(runState, SHORT_TEXT_BYTES),
    hasSuspended: 1,
    suspended: wasSuspended ? 1 : 0,
    unused: new Uint8Array(TEXT_BYTES - SHORT_TEXT_BYTES - 2),
  };
}

/** What a loaded section says, whichever form its source wrote. */
export function readGlobalState(section: GlobalStateSection): GlobalState {
  const runState = textOf(section.runState);
  if (section.runState[HAS_SUSPENDED_OFFSET] !== 1) return { runState };
  return { runState, wasSuspended: section.runState[SUSPENDED_OFFSET] === 1 };
}

function checkText(size: number, bytes: Uint8Array): string | undefined {
  if (size > bytes.length) return `a run state of ${size} bytes in a field of ${bytes.length}`;
  const text = textOf(bytes);
  return isRunState(text) ? undefined : `run state ${JSON.stringify(text)} is not known`;
}

function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, SHORT_TEXT_BYTES)).toString('latin1');
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function textBuffer(text: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(Buffer.from(text, 'latin1'));
  return bytes;
}
