// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** What only the desktop has: its window, menu, tray, notifications, dialogs, links, and how it ends. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { createDetached, stopDetached } from '../support/e2e/detached-machine.ts';
import type { DialogName } from '../standin/record.ts';
import { VirtualScreen } from '../standin/virtual-screen.ts';
import { BUILT_APP, DesktopApp, isReal, RUNTIME_EXECUTABLE } from '../support/e2e/desktop-app.ts';
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

/** What Electron tells of itself is looked at until it is so: it has no event for a test to wait for. */
const PATIENCE = { timeout: 20_000 };
const row = (name: string) => page.getByRole('row').filter({ hasText: name });
const heading = (text: string | RegExp) => page.getByRole('heading', { name: text, level: 1 });

async function demoPid(): Promise<number> {
  const text = await page.getByRole('definition').filter({ hasText: /^\d+$/ }).first().textContent();
  return Number(text);
}

/** The user's answer to a dialog to come. */
const answer = (dialog: DialogName, value: unknown): Promise<void> =>
  app.electron.evaluate((_electron, prepared) => void globalThis.__standin.dialogAnswers.push(prepared), {
    dialog,
    answer: value,
  });
const QUESTION = { stay: { response: 0 }, goOn: { response: 1 }, quit: { response: 2 } } as const;

/** Resolves with the options of the dialogs that were asked for, once there are that many. */
async function asked(count: number): Promise<Record<string, unknown>[]> {
  const dialogs = (): Promise<Record<string, unknown>[]> =>
    app.electron.evaluate(() => globalThis.__standin.dialogs.map(({ options }) => ({ ...(options as object) })));
  await expect.poll(async () => (await dialogs()).length, PATIENCE).toBeGreaterThanOrEqual(count);
  return await dialogs();
}

const closeWindow = (): Promise<void> =>
  app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
const isVisible = (): Promise<boolean> =>
  app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().some((window) => window.isVisible()));

async function untilEnded(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return await new Promise((resolve) => child.once('exit', resolve));
}

/** A second start of the app; answers its exit code. */
function startAgain(...args: string[]): Promise<number | null> {
  return untilEnded(
    spawn(RUNTIME_EXECUTABLE, ['--no-sandbox', BUILT_APP, ...args], { env: app.environment, stdio: 'ignore' }),
  );
}

describe.skipIf(isReal)('closing the window while a machine would end', () => {
  it('asks, and stays where the user says so', async () => {
    await answer('showMessageBox', QUESTION.stay);
    await closeWindow();
    const [question] = await asked(1);
    expect(question).toMatchObject({
      message: 'Quit Godwit?',
      detail: 'This ends demo.',
      buttons: ['Stay', 'Go on without a window', 'Quit'],
      cancelId: 0,
    });
    expect(await isVisible()).toBe(true);
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('goes on without a window, and a second start shows it again', async () => {
    const pid = await demoPid();
    await answer('showMessageBox', QUESTION.goOn);
    await closeWindow();
    await expect.poll(isVisible, PATIENCE).toBe(false);
    expect(isThere(pid)).toBe(true);
    expect(await startAgain()).toBe(0);
    await expect.poll(isVisible, PATIENCE).toBe(true);
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('ends the machine with the app where the user says so', async () => {
    const pid = await demoPid();
    const child = app.electron.process();
    await answer('showMessageBox', QUESTION.quit);
    await closeWindow().catch(() => undefined);
    expect(await untilEnded(child)).toBe(0);
    await untilGone(pid);
  });

  it('names what is cancelled and what stays', async () => {
    await createDetached(page);
    const detached = await demoPid();
    await page.getByRole('row').filter({ hasText: 'demo' }).getByRole('link', { name: 'demo' }).click();
    await startSlowMove(page);
    const child = app.electron.process();
    await answer('showMessageBox', QUESTION.stay);
    await app.electron.evaluate(({ app: electronApp }) => electronApp.quit());
    expect((await asked(1))[0]).toMatchObject({
      detail: 'This cancels the migration that is under way. This ends demo. db1 stays.',
    });
    await answer('showMessageBox', QUESTION.quit);
    await app.electron.evaluate(({ app: electronApp }) => electronApp.quit());
    expect(await untilEnded(child)).toBe(0);
    expect(isThere(detached)).toBe(true);
    // Found again by the next start, and ended by its user.
    await app.open();
    page = await app.page();
    await stopDetached(page);
    await untilGone(detached);
  });
});

/** Answers the id of the run. */
async function slowRun(): Promise<string> {
  await startSlowMove(page);
  return (await page.evaluate<string>('location.hash')).replace('#/runs/', '');
}

describe('the window', () => {
  it('is a real one, with the app in it', async () => {
    const { pixels } = screen.picture();
    const colours = new Set<number>();
    for (let at = 0; at < pixels.length; at += 3 * 97) colours.add(pixels.readUIntBE(at, 3));
    // An empty window has a few, a drawn one has those of its letters.
    expect(colours.size).toBeGreaterThan(50);
  });

  it('is where it was, after a restart', async () => {
    const bounds = { x: 40, y: 60, width: 1100, height: 760 };
    await app.electron.evaluate(
      ({ BrowserWindow }, wanted) => BrowserWindow.getAllWindows()[0]?.setBounds(wanted),
      bounds,
    );
    const now = (): Promise<unknown> =>
      app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.getNormalBounds());
    await expect.poll(now, PATIENCE).toEqual(bounds);
    await app.end();
    const kept = join(app.home, 'config', 'window.json');
    expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual({ bounds, maximized: false });
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    await app.open();
    page = await app.page();
    await expect.poll(now, PATIENCE).toEqual(bounds);
  });

  it('shows the screens of its menu, by click and by key', async () => {
    await app.electron.evaluate(({ Menu }) => {
      Menu.getApplicationMenu()?.getMenuItemById('show:/history')?.click();
    });
    await page.getByRole('heading', { name: 'History' }).waitFor();
    await page.keyboard.press('Control+,');
    await page.getByRole('heading', { name: 'Settings' }).waitFor();
    await page.keyboard.press('Control+1');
    await page.getByRole('heading', { name: 'Machines' }).waitFor();
  });

  it('goes on after a reload in the middle of a move', async () => {
    await startSlowMove(page);
    await page.reload();
    await heading(/Pass 1/).waitFor();
    await page.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Cancel' }).click();
    await heading('Cancelled. demo stays where it was.').waitFor();
  });
});

describe('a link godwit://run/…', () => {
  it('opens that run in the app that runs, and does no more', async () => {
    const id = await slowRun();
    await page.keyboard.press('Control+1');
    await page.getByRole('heading', { name: 'Machines' }).waitFor();
    expect(await startAgain(`godwit://run/${id}`)).toBe(0);
    await heading(/Pass 1/).waitFor();
    expect(await startAgain(`godwit://run/${id}/cancel`)).toBe(0);
    expect(await startAgain('godwit://machine/../../settings')).toBe(0);
    await heading(/Pass 1/).waitFor();
    await page.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Cancel' }).click();
    await heading('Cancelled. demo stays where it was.').waitFor();
    // The same by a first start.
    await app.end();
    await app.open([`godwit://run/${id}`]);
    page = await app.electron.firstWindow();
    await heading('Cancelled. demo stays where it was.').waitFor();
  });
});

describe.skipIf(isReal)('the desktop', () => {
  const notifications = (): Promise<string[]> =>
    app.electron.evaluate(() => globalThis.__standin.notifications.map(({ title, body }) => `${title}: ${body}`));

  it('is told of a run’s hold and end where nobody looks, and its click opens the run', async () => {
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByLabel('Stop the guest and wait for my word').check();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await heading('Held before the switchover: demo is stopped and waits for your word.').waitFor();
    // Looked at, so nothing was told.
    expect(await notifications()).toEqual([]);
    await page.keyboard.press('Control+1');
    await page.getByRole('heading', { name: 'Machines' }).waitFor();
    await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.blur());
    await page.evaluate(`window.godwit.call('runs.active', {}).then(({ output }) =>
      window.godwit.call('migration.continue', { runId: output.runs[0].id }))`);
    await expect.poll(notifications, PATIENCE).toEqual(['A migration is done: demo has moved.']);
    await app.electron.evaluate(() => {
      globalThis.__standin.notifications[0]?.emit('click');
    });
    await heading('demo has moved.').waitFor();
  });

  it('is told nothing where its user does not want it', async () => {
    await page.keyboard.press('Control+4');
    await page.getByRole('checkbox', { name: /Notifications/ }).uncheck();
    await page.keyboard.press('Control+1');
    await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.blur());
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await heading('demo has moved.').waitFor();
    expect(await notifications()).toEqual([]);
  });

  it('has an icon in its tray only where its user wants one; closing the window then keeps the app', async () => {
    const trays = (): Promise<{ destroyed: boolean; items: string[] }[]> =>
      app.electron.evaluate(() =>
        globalThis.__standin.trays.map((tray) => ({
          destroyed: tray.isDestroyed(),
          items: tray.contextMenu?.items.map(({ label }) => label) ?? [],
        })),
      );
    expect(await trays()).toEqual([]);
    await page.keyboard.press('Control+4');
    await page.getByRole('checkbox', { name: /Icon in the tray/ }).check();
    const idle = ['No migration is under way', '', 'Open Godwit', 'Quit'];
    await expect.poll(trays, PATIENCE).toEqual([{ destroyed: false, items: idle }]);
    await page.keyboard.press('Control+1');
    await startSlowMove(page);
    await expect.poll(async () => (await trays())[0]?.items[0], PATIENCE).toMatch(/^demo: Pass 1/);
    await closeWindow();
    await expect.poll(isVisible, PATIENCE).toBe(false);
    await app.electron.evaluate(() => globalThis.__standin.trays[0]?.contextMenu?.items[0]?.click());
    await expect.poll(isVisible, PATIENCE).toBe(true);
    await page.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Cancel' }).click();
    await heading('Cancelled. demo stays where it was.').waitFor();
    await page.keyboard.press('Control+4');
    await page.getByRole('checkbox', { name: /Icon in the tray/ }).uncheck();
    await expect.poll(async () => (await trays())[0]?.destroyed, PATIENCE).toBe(true);
  });

  it('stays awake while a run is under way', async () => {
    const blocked = (): Promise<boolean> =>
      app.electron.evaluate(({ powerSaveBlocker }) => [0, 1, 2].some((id) => powerSaveBlocker.isStarted(id)));
    expect(await blocked()).toBe(false);
    await startSlowMove(page);
    expect(await blocked()).toBe(true);
    await page.getByRole('region', { name: 'Controls' }).getByRole('button', { name: 'Cancel' }).click();
    await heading('Cancelled. demo stays where it was.').waitFor();
    await expect.poll(blocked, PATIENCE).toBe(false);
  });

  it('asks for the file that a guest is saved to, and for the one that it is started from', async () => {
    const file = join(app.home, 'demo.state');
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('radio', { name: /^A file/ }).check();
    await answer('showSaveDialog', { canceled: true, filePath: '' });
    await page.getByRole('button', { name: 'Choose…' }).click();
    expect(await page.getByRole('textbox', { name: 'File' }).inputValue()).toBe('');
    await answer('showSaveDialog', { canceled: false, filePath: file });
    await page.getByRole('button', { name: 'Choose…' }).click();
    await expect.poll(() => page.getByRole('textbox', { name: 'File' }).inputValue()).toBe(file);
    expect((await asked(2))[1]).toMatchObject({
      title: 'Save demo',
      defaultPath: expect.stringMatching(/\/demo\.state$/) as string,
    });
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Save it' }).click();
    await heading(`demo is saved in ${file}.`).waitFor();
    await page.keyboard.press('Control+1');
    await page.getByRole('button', { name: 'Start from…' }).click();
    await page.getByRole('radio', { name: /^Another saved guest/ }).check();
    await answer('showOpenDialog', { canceled: false, filePaths: [file] });
    await page.getByRole('button', { name: 'Choose…' }).click();
    await expect.poll(() => page.getByRole('textbox', { name: 'File' }).inputValue()).toBe(file);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await row('demo').getByText('Running', { exact: true }).waitFor();
  });

  it('is given the text of the pre-flight, since the page has no clipboard', async () => {
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Copy as text' }).click();
    await expect
      .poll(() => app.electron.evaluate(({ clipboard }) => clipboard.readText()), PATIENCE)
      .toMatch(/^(?:blocker|risk|note|passed): /);
  });
});

describe('godwit alone', () => {
  it('brings the window of the app that runs to the front', async () => {
    await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.hide());
    await expect.poll(isVisible, PATIENCE).toBe(false);
    const cli = join(import.meta.dirname, '..', '..', 'src-main', 'shells', 'cli', 'main.ts');
    expect(await untilEnded(spawn(process.execPath, [cli], { env: app.environment, stdio: 'ignore' }))).toBe(0);
    await expect.poll(isVisible, PATIENCE).toBe(true);
  });
});

describe('a command given to the app itself', () => {
  it('is run as on a terminal, beside the app that runs', async () => {
    const { stdout } = await promisify(execFile)(RUNTIME_EXECUTABLE, ['--no-sandbox', BUILT_APP, 'history', '--json'], {
      env: app.environment,
    });
    expect(JSON.parse(stdout)).toMatchObject({ runs: [] });
  });
});
