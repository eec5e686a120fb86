// SPDX-License-Identifier: Apache-2.0
/** How apps in the stand-in begin and end, and that they leave nothing behind. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { environment, EXECUTABLE, privateHome, type Launched } from '../standin/launch.ts';
import type {} from '../standin/record.ts';
import { eventsOf, SAMPLE, samplePage, start, WAIT, windowOf } from '../standin/sample-app.ts';

describe('the life of an app', () => {
  it('asks a window before it closes it, and quits in the order of Electron', async () => {
    const launched = await start();
    const window = await windowOf(launched, await samplePage(launched));
    await window.evaluate((own) => own.once('close', (event) => event.preventDefault()));
    await launched.app.evaluate(({ app }) => app.quit());
    expect(await window.evaluate((own) => own.isDestroyed())).toBe(false);
    const ended = launched.ended();
    await launched.app.evaluate(({ BrowserWindow }) => setTimeout(() => BrowserWindow.getAllWindows()[0]?.close(), 0));
    await ended;
    expect(launched.process.exitCode).toBe(0);
    expect(launched.output.match(/before-quit|will-quit|quit/g)).toEqual([
      ...['before-quit', 'before-quit', 'will-quit', 'quit'],
    ]);
  });

  it('closes a window whose page is closed by the user', async () => {
    const launched = await start();
    const page = await samplePage(launched);
    const ended = launched.ended();
    await page.close();
    await ended;
    expect(launched.process.exitCode).toBe(0);
  });

  it('hands the arguments of a second start to the first', async () => {
    const launched = await start();
    await samplePage(launched);
    const env = environment(launched.home, {});
    const second = promisify(execFile)(EXECUTABLE, [SAMPLE, '--again', 'file'], { env, cwd: launched.home });
    expect((await second).stdout).toBe('before-quit\nwill-quit\nquit\n');
    expect(await eventsOf(launched)).toEqual([
      ['second-instance', [EXECUTABLE, SAMPLE, '--again', 'file'], launched.home],
    ]);
  });

  it('takes over from an app that was killed', async () => {
    const first = await start();
    const ended = first.ended();
    process.kill(first.pid, 'SIGKILL');
    await ended;
    const second = await start({ env: { XDG_CONFIG_HOME: join(first.home, 'config') } });
    await samplePage(second);
    expect(await second.app.evaluate(({ app }) => app.hasSingleInstanceLock())).toBe(true);
  });

  it('takes its arguments as a packaged app when it is to be one', async () => {
    const launched = await start({ args: ['--first'], env: { GODWIT_STANDIN_PACKAGED: '1' } });
    const about = await launched.app.evaluate(({ app }) => [app.isPackaged, process.argv.slice(1), process.defaultApp]);
    expect(about).toEqual([true, ['--first'], undefined]);
  });

  it('refuses a preload that is a module, and loads the page without it', async () => {
    const launched = await start();
    await samplePage(launched);
    const preload = join(launched.home, 'preload.cjs');
    writeFileSync(preload, `import { contextBridge } from 'electron';\n`);
    const seen = await launched.app.evaluate(async (_electron, path) => {
      const { window, loaded } = sample.openWindow(path);
      await loaded;
      const type: unknown = await window.webContents.executeJavaScript('typeof globalThis.sample');
      return [type, __standin.preloadErrors.length];
    }, preload);
    expect(seen).toEqual(['undefined', 1]);
    expect(launched.output).toContain('Unable to load preload script');
  });

  it('is Node when it is asked to be', async () => {
    const env = { ...environment(tmpdir(), {}), ELECTRON_RUN_AS_NODE: '1' };
    const run = promisify(execFile)(EXECUTABLE, ['-p', 'process.argv.length + ":" + typeof process.type'], { env });
    expect((await run).stdout).toBe('1:undefined\n');
  });
});

describe('nothing is left behind', () => {
  const MARK = 'STANDIN_TEST_MARK';
  const marked = (mark: string): string[] =>
    readdirSync('/proc').filter((name) => {
      if (!/^\d+$/.test(name)) return false;
      try {
        return readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`${MARK}=${mark}`);
      } catch {
        return false; // just ended
      }
    });
  /** An app of one file, in a home that must be as clean at the end as it was. */
  const ownApp = (text: string) => {
    const home = privateHome();
    onTestFinished(() => {
      expect(readdirSync(join(home, 'tmp'))).toEqual([]);
      rmSync(home, { recursive: true, force: true });
    });
    writeFileSync(join(home, 'main.mjs'), text);
    const run = promisify(execFile)(EXECUTABLE, [join(home, 'main.mjs')], { env: environment(home, {}) });
    return { run, child: run.child };
  };
  const startMarked = async (): Promise<{ launched: Launched; mark: string }> => {
    const mark = `mark-${process.pid}-${performance.now()}`;
    const launched = await start({ env: { [MARK]: mark } });
    await samplePage(launched);
    await launched.app.evaluate(async () => {
      const child = sample.forkUtility([], { stdio: 'ignore' });
      await new Promise((resolve) => child.once('message', resolve).postMessage('ready?'));
    });
    expect(marked(mark).length).toBeGreaterThan(4);
    return { launched, mark };
  };

  it('when the app is closed', async () => {
    const { launched, mark } = await startMarked();
    await launched.app.close();
    await expect.poll(() => marked(mark), WAIT).toEqual([]);
    expect(launched.temporaryFiles).toEqual([]);
  });

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('when the app is ended by %s', async (signal) => {
    const { launched, mark } = await startMarked();
    const ended = launched.ended();
    process.kill(launched.pid, signal);
    await ended;
    await expect.poll(() => marked(mark), WAIT).toEqual([]);
    await expect.poll(() => launched.temporaryFiles, WAIT).toEqual([]);
  });

  it('when the main module throws', async () => {
    const { run } = ownApp(`throw new Error('on purpose');\n`);
    const failure: unknown = await run.then(String, (error: unknown) => error);
    expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining('on purpose') as unknown });
  });

  it('when the app fails after it was ready', async () => {
    const { run, child } = ownApp(`import { app } from 'electron'; app.whenReady().then(() => app.foo());\n`);
    const told = new Promise<string>((resolve) => {
      let text = '';
      child.stderr?.on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('README.md')) resolve(text);
      });
    });
    expect(await told).toContain('UnhandledPromiseRejectionWarning: NotProvided');
    child.kill('SIGTERM');
    await run;
  });
});
