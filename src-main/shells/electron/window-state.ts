// SPDX-License-Identifier: Apache-2.0
/** Where the window was when it was closed, kept in a file of the settings folder. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const side = z.int().min(-100_000).max(100_000);
const rectangle = z.object({
  x: side,
  y: side,
  width: z.int().min(1).max(100_000),
  height: z.int().min(1).max(100_000),
});
export type Rectangle = z.infer<typeof rectangle>;

export const windowState = z.object({ bounds: rectangle, maximized: z.boolean() });
export type WindowState = z.infer<typeof windowState>;

/** The design size, and the smallest at which the screens are laid out (mock/README.md). */
export const DEFAULT_SIZE = { width: 1280, height: 800 } as const;
export const SMALLEST = { width: 1024, height: 700 } as const;

/** So much of a window has to be on a screen for it to be found: a piece of its title bar. */
const VISIBLE = { width: 120, height: 40 };

/** Null where there is none that can be used: a damaged file costs a position, not a start. */
export function readWindowState(path: string): WindowState | null {
  try {
    return windowState.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

/** Never throws: a full disk must not keep the window from closing. */
export function writeWindowState(path: string, state: WindowState): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fresh = `${path}.new`;
    writeFileSync(fresh, `${JSON.stringify(state)}\n`, { mode: 0o600 });
    renameSync(fresh, path);
  } catch {
    // The next window opens where windows open.
  }
}

/** The kept bounds as they fit today's screens; null where they would put the window out of sight. */
export function boundsOn(screens: readonly Rectangle[], { bounds }: WindowState): Rectangle | null {
  const visible = screens.some((screen) => {
    const width = Math.min(bounds.x + bounds.width, screen.x + screen.width) - Math.max(bounds.x, screen.x);
    // The title bar is at the top: it is what must be reachable.
    const isTopInside = bounds.y >= screen.y && bounds.y + VISIBLE.height <= screen.y + screen.height;
    return width >= VISIBLE.width && isTopInside;
  });
  if (!visible) return null;
  const { width, height } = bounds;
  return { ...bounds, width: Math.max(width, SMALLEST.width), height: Math.max(height, SMALLEST.height) };
}
