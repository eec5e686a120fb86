// SPDX-License-Identifier: Apache-2.0
/** Numbers as readers see them. Pure. */

export type Units = 'binary' | 'decimal';

/** A number and its unit apart, since the unit is set smaller. */
export interface Figure {
  readonly value: string;
  readonly unit: string;
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

export function bytesFigure(bytes: number, units: Units = 'binary'): Figure {
  const base = units === 'binary' ? 1024 : 1000;
  const names = units === 'binary' ? BINARY : DECIMAL;
  let step = 0;
  let value = bytes;
  while (value >= base && step < names.length - 1) {
    value /= base;
    step += 1;
  }
  const digits = step === 0 || value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return { value: value.toFixed(digits), unit: names[step] ?? 'B' };
}

export function bytesText(bytes: number, units: Units = 'binary'): string {
  const { value, unit } = bytesFigure(bytes, units);
  return `${value} ${unit}`;
}

export const rateText = (bytesPerSecond: number, units: Units = 'binary'): string =>
  `${bytesText(bytesPerSecond, units)}/s`;

/** `84 ms`, `1.25 s`, `1 min 10 s`. */
export function durationText(ms: number): string {
  if (ms < 1) return ms === 0 ? '0 ms' : `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Time within a run: `0:56`, `1:02:03`; with tenths: `0:56.4`. */
export function clockText(ms: number, tenths = false): string {
  const whole = Math.floor(ms / 1000);
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
  return tenths ? `${clock}.${Math.floor(ms / 100) % 10}` : clock;
}

/** A time of the wall clock: today the hour, else the day too. */
export function whenText(iso: string, now: Date): string {
  const when = new Date(iso);
  const hour = when.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
  if (when.toDateString() === now.toDateString()) return hour;
  return `${when.toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' })}, ${hour}`;
}

/** How long ago something answered. */
export const ageText = (ms: number | null): string =>
  ms === null ? 'never' : ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : durationText(ms);
