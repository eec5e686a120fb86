// SPDX-License-Identifier: Apache-2.0
/** The stand-in for Electron's executable, through Playwright and with a small app of its own. */
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EXECUTABLE, Launched } from '../standin/launch.ts';
import type {} from '../standin/record.ts';
import { clearEvents, eventsOf, SAMPLE, samplePage, WAIT, windowOf } from '../standin/sample-app.ts';
import { VirtualScreen } from '../standin/virtual-screen.ts';

const BACKGROUND = [20, 120, 200];

describe.each(['headless', 'on a virtual screen'])('an app %s', (where) => {
  let screen: VirtualScreen | undefined;
  let launched: Launched;
  let page: Page;

  beforeAll(async () => {
    if (where !== 'headless') screen = await VirtualScreen.start();
    launched = await Launched.start({ app: SAMPLE, ...(screen === undefined ? {} : { display: screen.display }) });
    page = await samplePage(launched);
  });
  afterAll(async () => {
    await launched.dispose();
    await screen?.dispose();
  });
  afterEach(async () => {
    expect(await launched.app.evaluate(() => __standin.unhandledRejections)).toEqual([]);
    await clearEvents(launched);
  });

  it('is ready only after its main module, and knows what it is', async () => {
    const about = await launched.app.evaluate(({ app }) => ({
      ...{ wasReady: sample.isReadyAtStart, isReady: app.isReady(), packaged: app.isPackaged },
      ...{ name: app.getName(), version: app.getVersion(), path: app.getAppPath(), argv: process.argv.slice(1) },
      ...{ type: process.type, electron: process.versions.electron, default: process.defaultApp },
      ...{ exe: process.execPath, named: app.getPath('exe'), sandbox: __standin.isSandboxEnabled },
    }));
    expect(about).toMatchObject({
      ...{ wasReady: false, isReady: true, packaged: false, name: 'Sample', version: '1.2.3', path: SAMPLE },
      ...{ argv: [SAMPLE], type: 'browser', default: true, exe: EXECUTABLE, named: EXECUTABLE, sandbox: true },
    });
    expect(about.electron).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('has a window with a page of the size that it asked for, and its colour on the screen', async () => {
    expect(await page.evaluate('[innerWidth, innerHeight]')).toEqual([640, 480]);
    const window = await windowOf(launched, page);
    const state = () => window.evaluate((own) => [own.getBounds(), own.isVisible(), own.isFocused(), own.getTitle()]);
    const bounds = { x: 20, y: 30, width: 640, height: 480 };
    await expect.poll(state, WAIT).toEqual([bounds, true, true, 'Sample page']);
    const isBlue = (pixels: Buffer): boolean => pixels.indexOf(Buffer.from([...BACKGROUND, ...BACKGROUND])) >= 0;
    if (screen !== undefined) {
      await expect.poll(() => isBlue(screen?.picture().pixels ?? Buffer.alloc(0)), WAIT).toBe(true);
      expect((await screen.screenshot()).subarray(1, 4).toString()).toBe('PNG');
    }
  });

  it('resizes its page with the window, and the window says so', async () => {
    const window = await windowOf(launched, page);
    await window.evaluate((own) => own.setBounds({ width: 700, height: 500 }));
    await expect.poll(() => page.evaluate('[innerWidth, innerHeight]'), WAIT).toEqual([700, 500]);
    expect(await eventsOf(launched)).toEqual([['resize', { x: 20, y: 30, width: 700, height: 500 }]]);
    await window.evaluate((own) => own.maximize());
    // On X, Chromium leaves out a pixel of a window as large as the screen.
    await expect.poll(() => page.evaluate('innerWidth'), WAIT).toBeGreaterThanOrEqual(1399);
    await window.evaluate((own) => own.unmaximize());
    await expect.poll(() => page.evaluate('[innerWidth, innerHeight]'), WAIT).toEqual([700, 500]);
  });

  it('notices that the user has resized a window', async () => {
    const window = await windowOf(launched, page);
    const size = await window.evaluate((own) => own.getSize());
    await clearEvents(launched);
    // As somebody else than the stand-in.
    const devTools = await page.context().newCDPSession(page);
    const { windowId, bounds } = await devTools.send('Browser.getWindowForTarget');
    const width = (bounds.width ?? 0) + 50;
    await devTools.send('Browser.setWindowBounds', { windowId, bounds: { width } });
    await expect.poll(() => window.evaluate((own) => own.getSize()), WAIT).toEqual([(size[0] ?? 0) + 50, size[1]]);
    expect((await eventsOf(launched)).map(([name]) => name)).toEqual(['resize']);
    await devTools.detach();
  });

  it('carries every kind of value between page and main process', async () => {
    const isSame = await page.evaluate(async () => {
      const twice = { in: 'both' };
      const values: unknown[] = [
        ...[undefined, null, true, 'text', 1.5, NaN, -0, Infinity, 12345678901234567890n, new Date(86_400_000)],
        ...[new Uint8Array([1, 2, 255]), new Float64Array([0.5, -1]), new Uint8Array([9]).buffer, /a+/gi],
        ...[new Map<unknown, unknown>([['key', new Set([1, 'two'])]]), [1, [2, { three: 3 }]], { $: 'dollar' }],
        [twice, twice],
      ];
      const [first, ...others] = (await sample.invoke('echo', ...values)) as unknown[];
      const tell = (value: unknown): string => {
        const tag = Object.prototype.toString.call(value);
        if (value instanceof Map || value instanceof Set) return `${tag} ${[...value].map(tell).join()}`;
        if (ArrayBuffer.isView(value)) return `${tag} ${String(value)}`;
        if (value instanceof ArrayBuffer) return `${tag} ${new Uint8Array(value).join()}`;
        if (Array.isArray(value)) return `[${value.map(tell).join()}]`;
        if (tag === '[object Object]')
          return Object.entries(value as object)
            .map(([k, v]) => k + tell(v))
            .join();
        return `${tag} ${Object.is(value, -0) ? '-0' : String(value)}`;
      };
      const back = [first, ...others];
      const [one, other] = back.at(-1) as unknown[];
      return [back.map(tell).join('|') === values.map(tell).join('|'), one === other];
    });
    expect(isSame).toEqual([true, true]);
    const error = await page.evaluate(async () => {
      const [back] = (await sample.invoke('echo', new RangeError('too far'))) as [Error];
      return [back instanceof Error, back.message];
    });
    expect(error).toEqual([true, 'too far']);
  });

  it('refuses what cannot be cloned, at the sender and in answers', async () => {
    const refusals = await page.evaluate(async () => {
      const text = (attempt: Promise<unknown>): Promise<string> => attempt.then(String, String);
      const proxy = async (): Promise<unknown> => sample.invoke('echo', new Proxy({}, {}));
      const answered = text(sample.invoke('answer-function'));
      return [await text(sample.invokeFunction()), await text(proxy()), await answered];
    });
    expect(refusals).toEqual([
      'Error: An object could not be cloned.',
      'Error: An object could not be cloned.',
      "Error: Error invoking remote method 'answer-function': Error: An object could not be cloned.",
    ]);
  });

  it('gives the page the failures of handlers as Electron words them', async () => {
    const failures = await page.evaluate(async () => {
      const text = (attempt: Promise<unknown>): Promise<string> => attempt.then(String, String);
      return [await text(sample.invoke('fail')), await text(sample.invoke('nobody'))];
    });
    expect(failures).toEqual([
      "Error: Error invoking remote method 'fail': RangeError: out of the sample",
      "Error: Error invoking remote method 'nobody': Error: No handler registered for 'nobody'",
    ]);
  });

  it('passes listeners, promises and errors through the bridge, and lets nobody change the API', async () => {
    const seen = await page.evaluate(async () => {
      const noted = await new Promise((resolve) => {
        const off = sample.onNoted((text) => {
          off();
          resolve(text);
        });
        sample.note('hello');
      });
      let thrown = '';
      try {
        sample.fail();
      } catch (error) {
        thrown = String(error);
      }
      const own = (): number => 7;
      const back = sample.same({ list: [own] }) as { list: (() => number)[] };
      return [noted, thrown, back.list[0] === own, Object.isFrozen(sample), Object.isFrozen(sample.onNoted)];
    });
    expect(seen).toEqual(['hello!', 'Error: failed in the preload', true, true, true]);
  });

  it('runs the preload before the page, with nothing of Node, again after a reload', async () => {
    const seen = (): Promise<unknown> =>
      page.evaluate(() => {
        const { hadApiAtOnce } = globalThis as unknown as { hadApiAtOnce: boolean };
        const names = Object.keys(globalThis).filter((name) => /standin|require|process/i.test(name));
        return { hadApiAtOnce, names, type: sample['type'], seen: sample['pageScriptsSeen'], fs: sample['requireFs'] };
      });
    const expected = { hadApiAtOnce: true, names: [], type: 'renderer', seen: false };
    expect(await seen()).toEqual({ ...expected, fs: 'threw: module not found: node:fs' });
    await page.reload();
    expect(await seen()).toMatchObject(expected);
    expect(await page.evaluate(() => [sample['webFrame'], sample['processExit']].join())).toMatch(/webFrame.*exit/);
    expect(await page.evaluate(() => sample.invoke('echo', 1))).toEqual([1]);
  });

  it('tells a frame within the page from the page', async () => {
    const main = {
      url: 'sample://app/index.html',
      origin: 'sample://app',
      isMain: true,
      top: 'sample://app/index.html',
    };
    expect(await page.evaluate(() => sample.invoke('who'))).toEqual(main);
    await page.evaluate(`document.body.append(Object.assign(document.createElement('iframe'), { src: '/inner' }))`);
    const frame = page.frameLocator('iframe').locator('#heading');
    await frame.waitFor(WAIT);
    const inner = page.frames().find((own) => own.url().endsWith('/inner'));
    expect(await inner?.evaluate(() => sample.invoke('who'))).toEqual({
      ...{ url: 'sample://app/inner', origin: 'sample://app', isMain: false, top: main.top },
    });
    await page.evaluate(`document.querySelector('iframe').remove()`);
  });

  it('answers requests of its own scheme, under the names that it gave', async () => {
    const echoed = await page.evaluate(async () => {
      const answer = await fetch('/echo?x=1', { method: 'POST', body: 'ümlaut' });
      return await answer.json();
    });
    expect(echoed).toEqual({ url: 'sample://app/echo?x=1', host: 'app', body: 'ümlaut' });
    expect(await page.evaluate(() => fetch('/broken').then(String, String))).toBe('TypeError: Failed to fetch');
    const url = await launched.app.evaluate(({ webContents }) => webContents.getAllWebContents()[0]?.getURL());
    expect(url).toBe('sample://app/index.html');
  });

  it('keeps its page off the network, and off other pages and windows', async () => {
    const window = await windowOf(launched, page);
    const fetched: unknown = await window.evaluate((own) =>
      own.webContents.executeJavaScript(`fetch('https://example.com/x').catch(String)`),
    );
    expect(fetched).toBe('TypeError: Failed to fetch');
    const closed = `new Promise((resolve) => (new WebSocket('ws://127.0.0.1:1/').onclose = () => resolve('closed')))`;
    expect(await page.evaluate(closed)).toBe('closed');
    await page.locator('#away').click();
    await page.locator('#popup').click();
    await page.evaluate(`void window.open('https://example.com/opened')`);
    await page.evaluate(`location.href = 'sample://app/elsewhere'`);
    await expect
      .poll(() => eventsOf(launched), WAIT)
      .toEqual([
        ['will-navigate', 'https://example.com/away'],
        ['window-open', 'https://example.com/popup'],
        ['window-open', 'https://example.com/opened'],
        ['will-navigate', 'sample://app/elsewhere'],
      ]);
    await expect.poll(() => launched.app.windows().length, WAIT).toBe(1);
    expect(await page.locator('#heading').innerText()).toBe('Sample');
    expect(await launched.app.evaluate(() => __standin.refusedRequests)).toEqual([
      { url: 'https://example.com/x', method: 'GET', resourceType: 'XHR' },
      { url: 'ws://127.0.0.1:1/', method: 'GET', resourceType: 'WebSocket' },
    ]);
  });

  it('refuses its page what the app refuses', async () => {
    const state = `navigator.permissions.query({ name: 'geolocation' }).then(({ state }) => state)`;
    expect(await page.evaluate(state)).toBe('denied');
    expect(await launched.app.evaluate(() => typeof __standin.handlers.permissionRequest)).toBe('function');
  });

  it('lets a test send what no page of the app would', async () => {
    const answers = await launched.app.evaluate(async () => [
      await __standin.forge.invoke('who', [], { url: 'https://evil.example/', isMainFrame: true }),
      await __standin.forge.invoke('who', [], { url: 'sample://app/x', isMainFrame: false }),
    ]);
    expect(answers).toEqual([
      { url: 'https://evil.example/', origin: 'https://evil.example', isMain: true, top: 'https://evil.example/' },
      { url: 'sample://app/x', origin: 'sample://app', isMain: false, top: 'sample://app/index.html' },
    ]);
  });

  it('keeps what nothing draws where a test finds it', async () => {
    const seen = await launched.app.evaluate(
      ({ app, Menu, nativeImage, Notification, powerSaveBlocker, shell, Tray }) => {
        const clicks: string[] = [];
        const tray = new Tray(nativeImage.createEmpty());
        tray.setToolTip('Sample');
        tray.setContextMenu(Menu.buildFromTemplate([{ id: 'open', label: 'Open', click: () => clicks.push('open') }]));
        tray.on('click', () => clicks.push('tray'));
        const notification = new Notification({ title: 'Done', body: 'Moved.' });
        notification.on('click', () => clicks.push('notification'));
        notification.show();
        app.setAsDefaultProtocolClient('sample');
        void shell.openExternal('https://example.com/help');
        const blocker = powerSaveBlocker.start('prevent-app-suspension');
        const { trays, notifications, protocolClients, openedExternal } = __standin;
        trays[0]?.emit('click');
        trays[0]?.contextMenu?.getMenuItemById('open')?.click();
        notifications[0]?.emit('click');
        const shown = notifications.map(({ title, body }) => ({ title, body }));
        return {
          clicks,
          tip: trays[0]?.toolTip,
          shown,
          protocolClients,
          openedExternal,
          blocks: [
            powerSaveBlocker.isStarted(blocker),
            powerSaveBlocker.stop(blocker),
            powerSaveBlocker.isStarted(blocker),
          ],
        };
      },
    );
    expect(seen).toEqual({
      ...{ clicks: ['tray', 'open', 'notification'], tip: 'Sample', shown: [{ title: 'Done', body: 'Moved.' }] },
      ...{ protocolClients: ['sample'], openedExternal: ['https://example.com/help'], blocks: [true, true, false] },
    });
  });

  it('presses menu items by their keys, unless the page takes the key or the item is off', async () => {
    await page.locator('#field').focus();
    await page.keyboard.press('Control+1');
    await page.keyboard.press('Control+Shift+X');
    await page.keyboard.press('F2');
    await page.keyboard.press('Control+2');
    await page.keyboard.type('1x');
    await page.evaluate(`addEventListener('keydown', (event) => event.key === '1' && event.preventDefault())`);
    await page.keyboard.press('Control+1');
    await expect
      .poll(() => eventsOf(launched), WAIT)
      .toEqual([
        ['menu', 'one'],
        ['menu', 'shifted'],
        ['menu', 'help-key'],
      ]);
    expect(await page.locator('#field').inputValue()).toBe('1x');
    await launched.app.evaluate(({ Menu }) => {
      Menu.getApplicationMenu()?.getMenuItemById('one')?.click();
    });
    expect((await eventsOf(launched)).length).toBe(4);
  });

  it('follows the theme that the app chooses', async () => {
    const isDark = (): Promise<unknown> => page.evaluate(`matchMedia('(prefers-color-scheme: dark)').matches`);
    for (const theme of ['dark', 'light'] as const) {
      await launched.app.evaluate(({ nativeTheme }, chosen) => {
        nativeTheme.themeSource = chosen;
      }, theme);
      await expect.poll(isDark, WAIT).toBe(theme === 'dark');
    }
  });

  it('says the name of what it does not provide', async () => {
    const names = await launched.app.evaluate((electron) => {
      const attempt = (act: () => unknown): string => {
        try {
          return String(act());
        } catch (error) {
          return (error as Error).message.replace(/^The stand-in for Electron does not provide | See .*$/g, '');
        }
      };
      const { app, BrowserWindow, dialog } = electron;
      const [window] = BrowserWindow.getAllWindows();
      return [
        attempt(() => app.getFileIcon('/')),
        attempt(() => window?.setOpacity(1)),
        attempt(() => window?.webContents.printToPDF({})),
        attempt(() => (BrowserWindow as unknown as Record<string, unknown>)['addExtension']),
        attempt(() => electron.safeStorage.getSelectedStorageBackend()),
        attempt(() => new electron.BrowserView()),
        attempt(() => app.on('gpu-info-update', () => undefined)),
        attempt(() => dialog.showCertificateTrustDialog({} as never)),
        attempt(() => (electron as unknown as Record<string, unknown>)['foo']),
      ];
    });
    expect(names).toEqual([
      ...['App.getFileIcon.', 'BrowserWindow.setOpacity.', 'WebContents.printToPDF.', 'BrowserWindow.addExtension.'],
      ...['safeStorage.', 'BrowserView.', "the event 'gpu-info-update' of App."],
      ...['dialog.showCertificateTrustDialog.', 'electron.foo.'],
    ]);
  });

  it('asks dialogs of the test', async () => {
    const answers = await launched.app.evaluate(async ({ dialog }) => {
      const unprepared = await dialog.showOpenDialog({ title: 'Which?' }).catch(String);
      __standin.dialogAnswers.push({ dialog: 'showOpenDialog', answer: { canceled: false, filePaths: ['/a'] } });
      const prepared = await dialog.showOpenDialog({ title: 'Which?' });
      dialog.showMessageBox = async () => ({ response: 1, checkboxChecked: false });
      return [unprepared, prepared, await dialog.showMessageBox({ message: 'Sure?' }), __standin.dialogs.length];
    });
    expect(answers).toEqual([
      expect.stringContaining('no answer was prepared'),
      { canceled: false, filePaths: ['/a'] },
      { response: 1, checkboxChecked: false },
      2,
    ]);
  });

  it('runs utility processes that speak, listen and end', async () => {
    const seen = await launched.app.evaluate(async () => {
      const child = sample.forkUtility(['--x', 'y'], { stdio: 'pipe', serviceName: 'sample utility' });
      const pidAtFirst = child.pid;
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const once = (event: 'spawn' | 'message' | 'exit'): Promise<unknown> =>
        new Promise((resolve) => child.once(event as 'message', resolve));
      await once('spawn');
      const hasPid = typeof child.pid === 'number';
      child.postMessage(new Map([['n', 1n]]));
      const message = (await once('message')) as { echo: Map<string, bigint> };
      const exited = once('exit');
      child.postMessage('exit');
      const code = await exited;
      return { pidAtFirst, hasPid, echo: message.echo.get('n') === 1n, code, about: JSON.parse(output) as unknown };
    });
    const about = { args: ['--x', 'y'], type: 'utility', electron: 'string' };
    expect(seen).toEqual({
      ...{ pidAtFirst: undefined, hasPid: true, echo: true, code: 3 },
      about: { ...about, names: ['default', 'module.exports', 'net', 'systemPreferences'] },
    });
    const killed = await launched.app.evaluate(async () => {
      const child = sample.forkUtility([], { stdio: 'ignore' });
      await new Promise((resolve) => child.once('spawn', () => resolve(0)));
      const exited = new Promise((resolve) => child.once('exit', resolve));
      return [child.stdout, child.kill(), await exited, child.pid];
    });
    expect(killed).toEqual([null, true, 15, undefined]);
  });

  it('hears that its renderer was killed, and loads the page anew', async () => {
    const opened = await launched.app.evaluate(async () => {
      const { window, loaded } = sample.openWindow();
      await loaded;
      return [window.id, window.webContents.getOSProcessId()] as const;
    });
    process.kill(opened[1], 'SIGKILL');
    await expect.poll(() => eventsOf(launched), WAIT).toEqual([['gone', { reason: 'killed', exitCode: 9 }]]);
    const again = await launched.app.evaluate(async ({ BrowserWindow }, [id]) => {
      const window = BrowserWindow.fromId(id);
      const loaded = new Promise((resolve) => window?.webContents.once('did-finish-load', () => resolve(0)));
      window?.webContents.reload();
      await loaded;
      const answer: unknown = await window?.webContents.executeJavaScript(`sample.invoke('who')`);
      window?.destroy();
      return answer;
    }, opened);
    expect(again).toMatchObject({ url: 'sample://app/index.html', isMain: true });
    expect(launched.app.windows()).toContain(page);
  });
});
