// SPDX-License-Identifier: Apache-2.0
/** What keeps a page that was taken over from reaching further. On the stand-in: it has a record of what it was told. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { channels, type Answer, type DesktopBridge } from '../../src-shared/desktop-bridge.ts';
import type {} from '../standin/record.ts';
import { VirtualScreen } from '../standin/virtual-screen.ts';
import { DesktopApp, isReal } from '../support/e2e/desktop-app.ts';
import { readSecuritySettings } from '../support/e2e/read-security-settings.ts';
import { weaknesses } from '../support/e2e/security-settings.ts';

declare const window: { readonly godwit: DesktopBridge };

let screen: VirtualScreen;
let app: DesktopApp;
let page: Page;
beforeAll(async () => {
  screen = await VirtualScreen.start();
  app = await DesktopApp.start(screen);
  page = await app.page();
});
afterAll(async () => {
  await app.dispose();
  await screen.dispose();
});

describe.skipIf(isReal)('what main tells Electron', () => {
  it('has no setting that is weaker than it has to be', async () => {
    expect(weaknesses(await readSecuritySettings(app.electron), false)).toEqual([]);
  });
});

describe('a page', () => {
  it('has of Node and Electron only the bridge, which it cannot change', async () => {
    const seen = await page.evaluate(`({
      names: ['require', 'process', 'module', 'Buffer', 'global', '__dirname'].filter((name) => name in window),
      bridge: Object.keys(window.godwit).sort(),
      frozen: (() => { try { window.godwit.call = () => 'mine'; } catch {} return window.godwit.call !== undefined && String(window.godwit.call).includes('mine') === false; })(),
    })`);
    expect(seen).toEqual({ names: [], bridge: ['call', 'desktop', 'follow'], frozen: true });
  });

  it('opens no window and goes nowhere else', async () => {
    await page.evaluate(`void window.open('https://godwit.example/')`);
    await page.evaluate(`location.href = 'https://godwit.example/'`);
    await page.evaluate(`location.href = 'file:///etc/passwd'`).catch(() => undefined);
    await page.getByRole('heading', { name: 'Machines' }).waitFor();
    const addresses = await app.electron.evaluate(({ BrowserWindow }) =>
      BrowserWindow.getAllWindows().map(({ webContents }) => webContents.getURL()),
    );
    expect(addresses).toEqual([expect.stringMatching(/^app:\/\/godwit\/#\//) as string]);
  });

  it('runs no code from a text, loads nothing from elsewhere and talks to nobody', async () => {
    const outcome = await page.evaluate(`(async () => {
      const failed = async (work) => { try { await work(); return false; } catch { return true; } };
      const loads = (tag, attribute) => new Promise((resolve) => {
        const element = document.createElement(tag);
        element.onload = () => resolve(true);
        element.onerror = () => resolve(false);
        element[attribute] = 'https://godwit.example/x';
        document.body.append(element);
      });
      return {
        fetch: await failed(() => fetch('https://godwit.example/')),
        own: await failed(() => fetch('/index.html')),
        // Not at once: what a driver runs itself is above the page's policy.
        eval: await new Promise((resolve) => setTimeout(() => resolve(failed(() => (0, eval)('1'))))),
        script: await loads('script', 'src'),
        image: await loads('img', 'src'),
      };
    })()`);
    expect(outcome).toEqual({ fetch: true, own: true, eval: true, script: false, image: false });
  });
});

describe('a call over IPC', () => {
  const call = (...args: unknown[]): Promise<Answer> =>
    page.evaluate((given) => (window.godwit.call as (...values: unknown[]) => Promise<Answer>)(...given), args);
  const error = (code: string, message: string | RegExp) => ({
    error: { code, message: typeof message === 'string' ? message : (expect.stringMatching(message) as string) },
  });

  it('is answered where it is one of the contract', async () => {
    expect(await call('app.info', {})).toMatchObject({ output: { vehicle: 'desktop' } });
  });

  it.each([
    ['of no name', ['', {}], error('invalid', 'There is no such call.')],
    ['of a name that is none', ['machines.explode', {}], error('invalid', 'There is no such call.')],
    ['of a name that every object has', ['constructor', {}], error('invalid', 'There is no such call.')],
    ['of a name of another type', [{ toString: 'app.info' }, {}], error('invalid', 'There is no such call.')],
    ['of a long name', ['x'.repeat(1000), {}], error('invalid', 'There is no such call.')],
    ['with a wrong type', ['machines.stop', { id: 7 }], error('invalid', /^id: /)],
    ['with a member too many', ['app.info', { more: 1 }], error('invalid', /more/)],
    ['without an input', ['app.info'], error('invalid', /./)],
    [
      'with a huge argument',
      ['machines.stop', { id: 'x'.repeat(20_000_000) }],
      error('invalid', 'The input is too large.'),
    ],
    ['with a long list', ['machines.stop', Array(500_000).fill(1)], error('invalid', 'The input is too large.')],
  ])('is refused %s', async (_how, args, answer) => {
    expect(await call(...args)).toEqual(answer);
  });

  it('is refused with what no JSON could say', async () => {
    const answers = await page.evaluate(`Promise.all([new Map(), new Uint8Array(4), 1n, new Date(0)].map(
      (input) => window.godwit.call('app.info', input)))`);
    expect(answers).toEqual(Array(4).fill(error('invalid', 'The input is not plain data.')));
  });

  it('of the desktop is checked alike', async () => {
    const desktop = (name: string, input: unknown): Promise<Answer> =>
      page.evaluate(([given, value]) => window.godwit.desktop(given as string, value), [name, input]);
    expect(await desktop('openExternal', {})).toEqual(error('invalid', 'There is no such call.'));
    expect(await desktop('chooseFile', { purpose: 'delete', name: 'x' })).toEqual(
      error('invalid', 'The input does not fit.'),
    );
    expect(await desktop('copyText', { text: 'x'.repeat(2_000_000) })).toEqual(
      error('invalid', 'The input is too large.'),
    );
  });

  it.skipIf(isReal).each([
    ['another site', { url: 'https://godwit.example/' }],
    ['a frame within the page', { url: 'app://godwit/', isMainFrame: false }],
    ['a page with our address that is not in our window', { url: 'app://godwit/' }],
    ['nowhere', { url: '' }],
  ])('is refused from %s', async (_who, sender) => {
    const answers = await app.electron.evaluate(
      (_electron, { names, from }) =>
        Promise.all(names.map((name) => globalThis.__standin.forge.invoke(name, ['app.info', {}], from))),
      { names: [channels.call, channels.desktop], from: sender },
    );
    expect(answers).toEqual(Array(2).fill(error('invalid', 'This does not come from a page of Godwit.')));
  });
});
