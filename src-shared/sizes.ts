// SPDX-License-Identifier: Apache-2.0
/** Sizes in bytes as people write and read them. Suffixes are binary: 1K = 1024. */

const SUFFIX_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

const SIZE = /^(\d{1,16})(?:\.(\d{1,6}))?\s*([KMGT]?)(?:iB|B)?$/i;

/**
 * Bytes of `4096`, `256M`, `1.5G`, `2MiB` (case does not matter), or `undefined` when the text is not a size, is not a
 * whole number of bytes or does not fit in 2^53.
 */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text.trim());
  if (!match) return undefined;
  const [, whole = '', fraction = '', suffix = ''] = match;
  const unit = SUFFIX_BYTES[suffix.toUpperCase()] ?? 1;
  const fractionBytes = fraction === '' ? 0 : (Number(fraction) * unit) / 10 ** fraction.length;
  const bytes = Number(whole) * unit + fractionBytes;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact text that {@link parseSize} turns back into `bytes`: `256M`, `4G`, `4097`. */
export function formatSizeExactly(bytes: number): string {
  for (const suffix of ['T', 'G', 'M', 'K'] as const) {
    const unit = SUFFIX_BYTES[suffix] ?? 1;
    if (bytes >= unit && bytes % unit === 0) return `${String(bytes / unit)}${suffix}`;
  }
  return String(bytes);
}

const READABLE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes for a reader, three significant digits at most: `512 B`, `1.5 GiB`, `45 MiB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1023.5 && unit < READABLE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const text = digits === 0 ? value.toFixed(0) : value.toFixed(digits).replace(/\.?0+$/, '');
  return `${text} ${READABLE_UNITS[unit] ?? 'B'}`;
}
