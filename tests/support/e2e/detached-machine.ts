// SPDX-License-Identifier: Apache-2.0
import type { Page } from 'playwright-core';

/** Creates db1, small and with a life of its own, from the list of machines, and waits until it runs. */
export async function createDetached(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'New micro-VM' }).click();
  await page.getByLabel('Name', { exact: true }).fill('db1');
  await page.getByLabel('Memory', { exact: true }).fill('64M');
  await page.getByLabel('Working set').fill('16M');
  await page.getByLabel('On its own').check();
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('row').filter({ hasText: 'db1' }).getByText('Running', { exact: true }).waitFor();
}

/** Stops it, as its user does: it would outlive the app, and the test. */
export async function stopDetached(page: Page): Promise<void> {
  const row = page.getByRole('row').filter({ hasText: 'db1' });
  await row.getByText('Running', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'db1', exact: true }).click();
  await page.getByRole('button', { name: 'Stop…' }).click();
  await page.getByRole('button', { name: 'Stop it' }).click();
  await row.getByText('Stopped').waitFor();
}
