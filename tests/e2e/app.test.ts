// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** What a user does, in a real Chromium, with real machines. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { createDetached, stopDetached } from '../support/e2e/detached-machine.ts';
import type { RunningApp, Vehicle } from '../support/e2e/vehicle.ts';
import { vehicles } from '../support/e2e/vehicles.ts';
import { startSlowMove } from '../support/e2e/slow-move.ts';

let app: RunningApp;
let page: Page;
/** What the page's console and the page itself complained about. */
let complaints: string[];

const row = (name: string) => page.getByRole('row').filter({ hasText: name });
const heading = (text: string | RegExp) => page.getByRole('heading', { name: text, level: 1 });

/** How the window looked at the end of each scenario, for whoever wants to see it. */
function keepPicture(scenario: string, png: Buffer): void {
  const folder = join(import.meta.dirname, '..', '..', 'out', 'e2e');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${scenario.replaceAll(/[^a-z]+/gi, '-').slice(0, 60)}.png`), png);
}

describe.each(vehicles)('$title', ({ open }) => {
  let vehicle: Vehicle;
  beforeAll(async () => {
    vehicle = await open();
  });
  afterAll(() => vehicle.close());
  beforeEach(async () => {
    app = await vehicle.start();
    page = await app.page();
    complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });
  afterEach(async ({ task }) => {
    const picture = await vehicle.picture();
    if (picture !== undefined) keepPicture(task.name, picture);
    await app.dispose();
  });

  it('moves the demo machine within three clicks, and keeps the run', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await heading('demo has moved.').waitFor();
    await page
      .getByRole('region', { name: 'Where is my VM?' })
      .getByText('demo is at the destination and runs.')
      .waitFor();
    expect(await page.getByText('seen by the guest').count()).toBe(1);
    await page.getByRole('link', { name: 'History', exact: true }).first().click();
    await row('demo').getByText('Completed').waitFor();
    await row('demo').getByRole('link').first().click();
    await heading('demo has moved.').waitFor();
    expect(complaints).toEqual([]);
  });

  it('creates a machine, watches its move, changes the limits on the way, and shows it finished', async () => {
    await page.getByRole('button', { name: 'New micro-VM' }).click();
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText('Give the machine a name').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('db1');
    await page.getByLabel('Memory', { exact: true }).fill('64M');
    await page.getByLabel('Working set').fill('96M');
    await page.getByText('does not fit into').waitFor();
    await page.getByLabel('Working set').fill('16M');
    await page.getByLabel('Dirty rate').fill('2000');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await row('db1').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate db1…' }).click();
    await page.getByLabel('Bandwidth limit').fill('2M');
    await page.getByLabel('Longest pause').fill('1');
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await heading(/Pass 1/).waitFor();
    await page.getByRole('button', { name: 'Ask both ends' }).click();
    await page.getByText('db1 is at the source and runs.').waitFor();
    await page.getByRole('button', { name: 'Change limits…' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Bandwidth limit').fill('nonsense');
    expect(await dialog.getByRole('button', { name: 'Apply' }).isDisabled()).toBe(true);
    await dialog.getByLabel('Bandwidth limit').fill('0');
    await dialog.getByLabel('Longest pause').fill('300');
    await dialog.getByRole('button', { name: 'Apply' }).click();
    await heading('db1 has moved.').waitFor();
    await page.getByText('max-bandwidth 2 MiB/s → unlimited').waitFor();
    expect(complaints).toEqual([]);
  });

  it('cancels a move: the guest stays, and no control is offered any more', async () => {
    await startSlowMove(page);
    const controls = page.getByRole('region', { name: 'Controls' });
    expect(await controls.getByRole('button', { name: 'Recover' }).isDisabled()).toBe(true);
    await controls.getByText('Nothing to recover: this run is not paused.').waitFor();
    await controls.getByRole('button', { name: 'Cancel' }).click();
    await heading('Cancelled. demo stays where it was.').waitFor();
    for (const button of await controls.getByRole('button').all()) expect(await button.isDisabled()).toBe(true);
    await page.getByRole('link', { name: 'Machines' }).click();
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('saves a machine to a file, and restores it where it was', async () => {
    const file = join(app.home, 'demo.state');
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('radio', { name: /^A file/ }).check();
    await page.getByRole('textbox', { name: 'File' }).fill(file);
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Save it' }).click();
    await heading(`demo is saved in ${file}.`).waitFor();
    await page
      .getByRole('region', { name: 'Where is my VM?' })
      .getByText(`demo is saved in ${file}; it does not run here any more.`)
      .waitFor();
    await page.getByRole('link', { name: 'Machines' }).click();
    await row('demo').getByText('Saved', { exact: true }).waitFor();
    await row('demo').getByRole('button', { name: 'Restore' }).click();
    await row('demo').getByText('Running', { exact: true }).waitFor();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(complaints).toEqual([]);
  });

  it('holds a move before the switchover until the user lets it go on', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByLabel('Stop the guest and wait for my word').check();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await heading('Held before the switchover: demo is stopped and waits for your word.').waitFor();
    await page.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Continue' }).click();
    await heading('demo has moved.').waitFor();
  });

  it('is used by keyboard alone', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    const press = async (key: string, until: () => Promise<boolean>): Promise<void> => {
      for (let count = 0; count < 60; count += 1) {
        if (await until()) return;
        await page.keyboard.press(key);
      }
      throw new Error(`${key} never led there`);
    };
    const focused = (text: string) => async (): Promise<boolean> => {
      const [now] = await page.locator(':focus').allTextContents();
      return now?.trim() === text;
    };
    await press('Tab', focused('Migrate…'));
    await page.keyboard.press('Enter');
    await press('Tab', focused('Pre-flight'));
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Start the move' }).waitFor();
    await press('Tab', focused('Start the move'));
    // Enter does not start it, by design; the space bar does.
    await page.keyboard.press('Enter');
    expect(await page.getByRole('button', { name: 'Start the move' }).count()).toBe(1);
    await page.keyboard.press('Space');
    await heading('demo has moved.').waitFor();
    await page.keyboard.press('Control+3');
    await page.getByRole('heading', { name: 'History' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('nobody');
    await page.getByText('No run is like that').waitFor();
  });

  it('says what failed and where the guest is when the destination dies', async () => {
    await startSlowMove(page);
    const text = await page
      .getByRole('region', { name: 'Where is my VM?' })
      .getByText(/^process \d+/)
      .last()
      .textContent();
    process.kill(Number(text?.replace('process ', '')), 'SIGKILL');
    await heading(/The move failed\..*demo is at the source and runs\./).waitFor();
    await page.getByRole('link', { name: 'Machines' }).click();
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('starts nothing that cannot work, and says why', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('radio', { name: /^A file/ }).check();
    expect(await page.getByRole('button', { name: 'Pre-flight' }).isDisabled()).toBe(true);
    await page.getByLabel('File', { exact: true }).fill(join(app.home, 'missing', 'demo.state'));
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByText('Solve 1 blocker to go on.').waitFor();
    expect(await page.getByRole('button', { name: 'Save it' }).isDisabled()).toBe(true);
  });

  it('deletes a machine, and undo brings it back with its guest', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Delete demo' }).click();
    await page.getByText('No machines yet').waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('shows what the guest writes on its serial port', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('tab', { name: 'Serial console' }).click();
    await page
      .getByText(/gen=\d+/)
      .first()
      .waitFor();
    expect(complaints).toEqual([]);
  });

  it('checks the system, and keeps the theme over a restart', async () => {
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('region', { name: 'System check' }).getByText('Node.js').waitFor();
    await page.getByRole('button', { name: 'Dark', exact: true }).click();
    await page.locator('html[data-theme=dark]').waitFor({ state: 'attached' });
    await app.end();
    await app.open();
    const again = await app.page();
    await again.locator('html[data-theme=dark]').waitFor({ state: 'attached' });
  });

  it('that was killed in the middle of a move of a detached machine shows it running in one process when it is started again', async () => {
    await createDetached(page);
    await startSlowMove(page, 'db1');
    await app.end('SIGKILL');
    await app.open();
    const again = await app.page();
    await again.getByRole('row').filter({ hasText: 'db1' }).getByText('Running', { exact: true }).waitFor();
    await again.getByText('The app ended while db1 was being moved. db1 is at the source and runs.').waitFor();
    await stopDetached(again);
  });
});
