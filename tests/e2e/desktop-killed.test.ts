// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** One of the desktop's processes is killed in the middle of a move: where the guest is then, and what the next start shows. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { VirtualScreen } from '../standin/virtual-screen.ts';
import { DesktopApp } from '../support/e2e/desktop-app.ts';
import { isThere, untilGone } from '../support/e2e/processes.ts';
import { startSlowMove } from '../support/e2e/slow-move.ts';

let screen: VirtualScreen;
let app: DesktopApp;
let page: Page;
beforeAll(async () => {
  screen = await VirtualScreen.start();
});
afterAll(() => screen.dispose());
beforeEach(async () => {
  app = await DesktopApp.start(screen);
  page = await app.page();
  await row('demo').getByText('Running', { exact: true }).waitFor();
});
afterEach(() => app.dispose());

const row = (name: string) => page.getByRole('row').filter({ hasText: name });
const heading = (text: string | RegExp) => page.getByRole('heading', { name: text, level: 1 });

/** The demo machine begins a move that cannot end by itself. Answers the processes of its two ends. */
async function slowRun(): Promise<{ source: number; destination: number }> {
  await startSlowMove(page);
  const ends = page.getByRole('region', { name: 'Where is my VM?' }).getByText(/^process \d+/);
  const [source, destination] = (await ends.allTextContents()).map((text) => Number(text.replace('process ', '')));
  return { source: source ?? 0, destination: destination ?? 0 };
}

it('the renderer: the move goes on, and the window shows it again', async () => {
  const { source, destination } = await slowRun();
  const pid = await app.electron.evaluate(({ BrowserWindow }) =>
    BrowserWindow.getAllWindows()[0]?.webContents.getOSProcessId(),
  );
  process.kill(pid ?? 0, 'SIGKILL');
  // Playwright gives a page up whose process ended: main is asked what the window shows.
  const inPage = <T>(script: string): Promise<T | undefined> =>
    app.electron.evaluate(
      ({ BrowserWindow }, code) =>
        BrowserWindow.getAllWindows()[0]
          ?.webContents.executeJavaScript(code)
          .catch(() => undefined) as Promise<T | undefined>,
      script,
    );
  const title = (): Promise<string | undefined> => inPage<string>(`document.querySelector('h1')?.textContent`);
  await expect.poll(title, { timeout: 20_000 }).toMatch(/Pass 1/);
  expect([isThere(source), isThere(destination)]).toEqual([true, true]);
  await inPage(
    `[...document.querySelectorAll('button')].find((button) => button.textContent.trim() === 'Cancel').click()`,
  );
  await expect.poll(title, { timeout: 20_000 }).toBe('Cancelled. demo stays where it was.');
  expect(isThere(source)).toBe(true);
});

it('the utility process of the source: the guest is lost with it, and is said to be', async () => {
  const { source, destination } = await slowRun();
  process.kill(source, 'SIGKILL');
  await heading(/The move failed\..*demo is lost: the process that had it has ended/).waitFor();
  await untilGone(destination);
  await page.keyboard.press('Control+1');
  await row('demo').getByText('Crashed').waitFor();
  await app.end();
  await app.open();
  page = await app.page();
  await row('demo').getByText('Crashed').waitFor();
  await page.keyboard.press('Control+3');
  await row('demo').getByText('Failed').waitFor();
  // Nothing is in the way of beginning anew.
  await page.keyboard.press('Control+1');
  await row('demo').getByRole('button', { name: 'Start' }).click();
  await row('demo').getByText('Running', { exact: true }).waitFor();
});

it('the main process: both ends go with it, and the next start says so', async () => {
  const { source, destination } = await slowRun();
  await app.end('SIGKILL');
  await Promise.all([untilGone(source), untilGone(destination)]);
  await app.open();
  page = await app.page();
  await page.getByText('1 run was interrupted: the process that drove it is gone').waitFor();
  await row('demo').getByText('Stopped').waitFor();
  await page.keyboard.press('Control+3');
  await row('demo').getByText('Interrupted').waitFor();
  await row('demo').getByRole('link').first().click();
  await page
    .getByRole('region', { name: 'Where is my VM?' })
    .getByText(/Both of its machines have ended too, and demo with them\./)
    .waitFor();
});
