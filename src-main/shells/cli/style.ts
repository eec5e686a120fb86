// SPDX-License-Identifier: Apache-2.0

const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** `text` in a colour or weight, or as it is where colour is off. */
export function paint(text: string, style: keyof typeof SGR, color: boolean): string {
  return color ? `\u001b[${String(SGR[style])}m${text}\u001b[0m` : text;
}

/** A whole number with thousands separated: `20,000`. */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Milliseconds for a reader: `48 ms`, `1.24 s`, `2 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5)
    return `${milliseconds < 9.95 ? milliseconds.toFixed(1).replace(/\.0$/, '') : milliseconds.toFixed(0)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  return `${String(Math.floor(whole / 60))} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** A bar of `width` cells, `part` of it (0 to 1) filled. */
export function bar(part: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, part)) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
