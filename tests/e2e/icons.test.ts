// SPDX-License-Identifier: Apache-2.0
/** The committed icons are what the SVG looks like. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iconFolder, iconSizes, renderIcon } from '../../scripts/packaging/icons.ts';
import { launchBrowser } from '../support/e2e/served-app.ts';

/** Of 255. Another Chromium smooths edges a little differently. */
const GREATEST_MEAN_DIFFERENCE = 2;

let browser: Browser;
let page: Page;
/** Reads the pictures, which the one that renders has no place for. */
let reader: Page;
beforeAll(async () => {
  browser = await launchBrowser();
  [page, reader] = [await browser.newPage(), await browser.newPage()];
});
afterAll(async () => {
  await browser.close();
});

describe.each(iconSizes)('the icon of %i pixels', (size) => {
  it('has that size, corners that one can see through, and is the SVG of today', async () => {
    const committed = readFileSync(join(iconFolder, `${size}x${size}.png`));
    const { corners, difference, ...rest } = await compare(committed, await renderIcon(page, size));
    expect(rest).toEqual({ width: size, height: size, middle: 255 });
    for (const alpha of corners) expect(alpha).toBeLessThan(128);
    expect(difference).toBeLessThan(GREATEST_MEAN_DIFFERENCE);
  });
});

interface Comparison {
  readonly width: number;
  readonly height: number;
  /** How opaque the first is there, of 255. */
  readonly corners: readonly number[];
  readonly middle: number;
  /** Mean over all pixels and channels. */
  readonly difference: number;
}

/** Of two PNGs; where their sizes differ, everything does. */
function compare(first: Buffer, second: Buffer): Promise<Comparison> {
  // Text, since what runs in the page has other types than Node; in the page, since a million numbers travel slowly.
  return reader.evaluate<Comparison>(`(async () => {
    const read = async (png) => {
      const picture = new Image();
      picture.src = 'data:image/png;base64,' + png;
      await picture.decode();
      const { width, height } = picture;
      const context = new OffscreenCanvas(width, height).getContext('2d');
      context.drawImage(picture, 0, 0);
      return context.getImageData(0, 0, width, height);
    };
    const { width, height, data } = await read('${first.toString('base64')}');
    const { data: other } = await read('${second.toString('base64')}');
    const alpha = (x, y) => data[(y * width + x) * 4 + 3];
    const corners = [alpha(0, 0), alpha(width - 1, 0), alpha(0, height - 1), alpha(width - 1, height - 1)];
    const sum = data.reduce((all, value, at) => all + Math.abs(value - other[at]), 0);
    const difference = data.length === other.length ? sum / data.length : 255;
    return { width, height, corners, middle: alpha(width / 2, height / 2), difference };
  })()`);
}
