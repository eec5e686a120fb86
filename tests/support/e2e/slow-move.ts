// SPDX-License-Identifier: Apache-2.0
import type { Page } from 'playwright-core';

/** Starts a move of a machine of the list that cannot end by itself, and waits until its memory is being copied. */
export async function startSlowMove(page: Page, name = 'demo'): Promise<void> {
  const row = page.getByRole('row').filter({ hasText: name });
  await row.getByText('Running', { exact: true }).waitFor();
  await row.getByRole('link', { name: 'Migrate…', exact: true }).click();
  await page.getByLabel('Bandwidth limit').fill('2M');
  await page.getByLabel('Longest pause').fill('1');
  await page.getByRole('button', { name: 'Pre-flight' }).click();
  await page.getByRole('button', { name: 'Start the move' }).click();
  await page.getByRole('heading', { name: /Pass 1/, level: 1 }).waitFor();
}
