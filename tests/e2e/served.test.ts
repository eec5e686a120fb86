// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** What only the app in a browser has: start links, and more than one browser. */
import { afterAll, afterEach, beforeAll, beforeEach, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser, ServedApp } from '../support/e2e/served-app.ts';
import { startSlowMove } from '../support/e2e/slow-move.ts';

let browser: Browser;
let app: ServedApp;
let page: Page;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
beforeEach(async () => {
  app = await ServedApp.start(browser);
  page = await app.page();
});
afterEach(() => app.dispose());

const heading = (text: string | RegExp) => page.getByRole('heading', { name: text, level: 1 });

it('shows a move to a second browser, and goes on after a reload in the middle', async () => {
  await startSlowMove(page);
  // A second browser needs a link of its own: the first one is used.
  const stranger = await browser.newContext();
  const refused = await stranger.newPage();
  await refused.goto(app.link);
  await refused.getByRole('heading', { name: 'This start link is used or too old' }).waitFor();
  await stranger.close();
  const second = await page.context().newPage();
  await second.goto(page.url());
  await second.getByRole('heading', { name: /Pass 1/, level: 1 }).waitFor();
  await page.reload();
  await heading(/Pass 1/).waitFor();
  await second.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Cancel' }).click();
  await heading('Cancelled. demo stays where it was.').waitFor();
  await second.close();
});

it('says that it has no contact when the server was killed, and is there again with the next one', async () => {
  await app.end('SIGKILL');
  await page.getByText('No contact with Godwit: trying again').waitFor();
  await app.open();
  const again = await app.page();
  await again.getByRole('row').filter({ hasText: 'demo' }).waitFor();
});
