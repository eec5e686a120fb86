// SPDX-License-Identifier: Apache-2.0
// How an icon is rendered from the SVG.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';

export const iconFolder = path.join(import.meta.dirname, '..', '..', 'assets', 'icons');

/** What the freedesktop icon theme has folders for. */
export const iconSizes = [16, 24, 32, 48, 64, 128, 256, 512] as const;

/** Below this many pixels a side the margin and the smaller bar would only blur the rest, and the other bar be lost. */
const SMALLEST_WITH_ALL = 32;

/** A PNG with a transparent ground. */
export async function renderIcon(page: Page, size: number): Promise<Buffer> {
  const svg = readFileSync(path.join(iconFolder, 'godwit.svg'), 'utf8');
  const small = '#icon { transform: none } .fine { display: none } .bar { stroke: #F0A27C; stroke-width: 1.8 }';
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(
    `<style>body { margin: 0 } svg { display: block; width: ${size}px; height: ${size}px }
     ${size < SMALLEST_WITH_ALL ? small : ''}</style>${svg}`,
  );
  return page.screenshot({ omitBackground: true });
}
