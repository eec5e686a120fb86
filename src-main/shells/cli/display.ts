// SPDX-License-Identifier: Apache-2.0
import type { CliIo } from './io.ts';

/** Whether a window can be opened: X11 or Wayland. */
export function isDisplayThere(env: CliIo['env']): boolean {
  return (env['DISPLAY'] ?? '') !== '' || (env['WAYLAND_DISPLAY'] ?? '') !== '';
}
