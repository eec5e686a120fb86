// SPDX-License-Identifier: Apache-2.0
/**
 * Settings of a machine and of the demo guest as users write them, checked. Every function takes the name under which
 * the user gave the value, and throws a UsageError whose sentence names it and the remedy.
 */
import { formatSizeExactly, parseSize } from './sizes.ts';
import { UsageError } from './usage-error.ts';

export const PAGE_BYTES = 4096;
export const MAX_CPUS = 16;
export const DEFAULT_MEMORY = '256M';
export const DEFAULT_DIRTY_RATE = '20000';

const MIN_MEMORY_BYTES = 1024 ** 2;
const MAX_MEMORY_BYTES = 1024 ** 4;
/** What the demo guest takes. */
const MAX_DIRTY_RATE = 10_000_000;

/** Foreign text inside a sentence. */
export const quote = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);

/** A whole number from `min` to `max`. */
export function parseCount(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option} ${quote(text)} is not a whole number from ${String(min)} to ${String(max)}`);
}

/** Bytes, a multiple of the page size. */
function parseBytes(option: string, text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new UsageError(`${option} ${quote(text)} is not a size: write it as 256M or 4G`);
  if (bytes % PAGE_BYTES !== 0) throw new UsageError(`${option} ${quote(text)} is not a multiple of 4K`);
  return bytes;
}

/** RAM of a machine, bytes: 1M to 1T. */
export function parseMemory(option: string, text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes < MIN_MEMORY_BYTES) {
    const hint = /^\d+$/.test(text.trim()) ? ` (bytes; did you mean ${text.trim()}M?)` : '';
    throw new UsageError(`${option} ${quote(text)} is too small${hint}: give 1M to 1T`);
  }
  const checked = parseBytes(option, text);
  if (checked > MAX_MEMORY_BYTES) throw new UsageError(`${option} ${quote(text)} is too large: give 1M to 1T`);
  return checked;
}

/** Pages a second that the demo guest writes, all vCPUs together; `least` is 0 where an idle guest makes sense. */
export function parseDirtyRate(option: string, text: string, least: 0 | 1): number {
  return parseCount(option, text, least, MAX_DIRTY_RATE);
}

/** The default working set of the demo guest: half of memory, whole pages. */
export function defaultWorkingSet(memoryBytes: number): number {
  return Math.floor(memoryBytes / 2 / PAGE_BYTES) * PAGE_BYTES;
}

/** Memory that the demo guest rewrites, bytes. */
export function parseWorkingSet(option: string, text: string, memoryBytes: number): number {
  const bytes = parseBytes(option, text);
  if (bytes === 0) throw new UsageError(`${option} 0 leaves the guest nothing to write: give at least 4K a vCPU`);
  if (bytes >= memoryBytes) {
    throw new UsageError(
      `${option} ${quote(text)} does not fit into ${formatSizeExactly(memoryBytes)} of memory: make it smaller`,
    );
  }
  return bytes;
}
