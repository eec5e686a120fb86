// SPDX-License-Identifier: Apache-2.0
// Pictures of every screen, light and dark, for docs/screens: `node scripts/boot.mjs scripts/take-screens.ts`. The app,
// the browser and the machines are real; what they show is what happened while the pictures were taken.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { launchBrowser, ServedApp } from '../tests/support/e2e/served-app.ts';

const folder = path.join(import.meta.dirname, '..', 'docs', 'screens');

mkdirSync(folder, { recursive: true });
const browser = await launchBrowser();
const app = await ServedApp.start(browser);
const page = await app.page();
try {
  await row('demo').getByText('Running', { exact: true }).waitFor();
  await createMachine('db1', '512M', '64M', '9000');
  await createMachine('dns', '128M', '16M', '500');
  await moveWithDefaults('dns');
  await page.goto(`${app.origin}/machines`);
  await page.getByRole('link', { name: 'db1', exact: true }).click();
  await page.waitForTimeout(1500);
  await both('machines');
  await page.getByRole('button', { name: 'New micro-VM' }).click();
  await both('new-machine');
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Serial console' }).click();
  await page
    .getByText(/gen=\d+/)
    .first()
    .waitFor();
  await both('console');
  await page.getByRole('link', { name: 'Migrate db1…' }).click();
  await page.getByLabel('Bandwidth limit').fill('32M');
  await page.getByLabel('Longest pause').fill('100');
  await page.getByRole('radio', { name: /Must finish/ }).check();
  await both('migrate');
  await page.getByRole('button', { name: 'Pre-flight' }).click();
  await page.getByRole('button', { name: 'Re-check' }).waitFor();
  await both('preflight');
  await page.getByRole('button', { name: 'Start the move' }).click();
  await page.getByRole('region', { name: 'Advice' }).waitFor({ timeout: 120_000 });
  await page.waitForTimeout(3000);
  await both('live-run');
  await page.getByRole('button', { name: 'Lift limit' }).click();
  await page.getByRole('heading', { name: 'db1 has moved.', level: 1 }).waitFor({ timeout: 60_000 });
  await page.waitForTimeout(500);
  await both('ended-run');
  await page.goto(`${app.origin}/history`);
  await row('db1').first().waitFor();
  await both('history');
  await page.goto(`${app.origin}/settings`);
  await page.getByText('Node.js').waitFor();
  await both('settings');
} finally {
  await page.context().close();
  await browser.close();
  await app.dispose();
}

function row(name: string): ReturnType<Page['getByRole']> {
  return page.getByRole('row').filter({ hasText: name });
}

async function createMachine(name: string, memory: string, workingSet: string, rate: string): Promise<void> {
  await page.getByRole('button', { name: 'New micro-VM' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Memory', { exact: true }).fill(memory);
  await page.getByLabel('Working set').fill(workingSet);
  await page.getByLabel('Dirty rate').fill(rate);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await row(name).getByText('Running', { exact: true }).waitFor();
}

async function moveWithDefaults(name: string): Promise<void> {
  await page.getByRole('link', { name: `Migrate ${name}…` }).click();
  await page.getByRole('button', { name: 'Pre-flight' }).click();
  await page.getByRole('button', { name: 'Start the move' }).click();
  await page.getByRole('heading', { name: `${name} has moved.`, level: 1 }).waitFor();
}

/** The theme is set on the document, as the setting does it, without leaving the screen. */
async function both(name: string): Promise<void> {
  for (const theme of ['light', 'dark']) {
    await page.evaluate(`document.documentElement.setAttribute('data-theme', '${theme}')`);
    await page.waitForTimeout(350);
    await page.screenshot({ path: path.join(folder, `${name}-${theme}.png`) });
  }
  await page.evaluate("document.documentElement.removeAttribute('data-theme')");
}
