// SPDX-License-Identifier: Apache-2.0
// The app's icons, assets/icons/NxN.png, from assets/icons/godwit.svg: `node scripts/boot.mjs scripts/make-icons.ts`. For
// whoever changes the SVG; the pictures are committed, so that packing needs no browser.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { launchBrowser } from '../tests/support/e2e/served-app.ts';
import { iconFolder, iconSizes, renderIcon } from './packaging/icons.ts';

const browser = await launchBrowser();
try {
  const page = await browser.newPage();
  for (const size of iconSizes)
    writeFileSync(path.join(iconFolder, `${size}x${size}.png`), await renderIcon(page, size));
} finally {
  await browser.close();
}
