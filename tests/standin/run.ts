// SPDX-License-Identifier: Apache-2.0
/** Runs an app as the electron executable does. */
import inspector from 'node:inspector';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readApp } from './app-info.ts';
import { Cdp } from './chromium/cdp.ts';
import { ChromiumProcess } from './chromium/process.ts';
import { Targets } from './chromium/targets.ts';
import { parseCommandLine, type CommandLine } from './command-line.ts';
import { app } from './electron/app.ts';
import { electron, exportedNames } from './electron/index.ts';
import { provideRoles } from './electron/role-actions.ts';
import { readScreens } from './electron/screen.ts';
import { host } from './host.ts';
import { installedElectron } from './installed.ts';
import { provideElectron } from './module-hooks.ts';
import { record } from './record.ts';
import { forkAsNode } from './run-as-node.ts';

let chromium: ChromiumProcess | null = null;

/** The arguments are those behind the executable. */
export async function run(args: readonly string[]): Promise<void> {
  const commandLine = parseCommandLine(args);
  if (commandLine.app === null) throw new Error('Which app? `electron FOLDER` or `electron FILE`.');
  host.executable = join(import.meta.dirname, 'runtime', 'electron');
  host.app = readApp(commandLine.app);
  for (const [name, value] of commandLine.switches) host.switches.set(name, value);
  host.end = (code) => void end(code);
  becomeElectron();
  endWithThisProcess();
  tellUnhandledRejections();
  provideElectron(electron, exportedNames);
  provideRoles();
  // Says itself where it listens.
  if (commandLine.inspectPort !== null) inspector.open(commandLine.inspectPort, '127.0.0.1');
  try {
    await loadApp(commandLine);
  } catch (error) {
    process.stderr.write(
      `App threw an error during load\n${error instanceof Error ? String(error.stack) : String(error)}\n`,
    );
    process.exit(1);
  }
  if (app.hasEnded) return;
  await startBrowser(commandLine).catch((error: unknown) => {
    // An app that quits at once may end the browser before it is up.
    if (!app.hasEnded) throw error;
  });
}

function becomeElectron(): void {
  Object.defineProperty(process.versions, 'electron', { value: installedElectron.version, enumerable: true });
  Object.defineProperty(process.versions, 'chrome', { value: installedElectron.chrome, enumerable: true });
  Object.assign(process, { type: 'browser', resourcesPath: join(host.app.path, '..') });
  if (!host.isPackaged) Object.assign(process, { defaultApp: true });
  process.execPath = host.executable;
  forkAsNode();
}

async function loadApp({ preloads, app: named, appArguments }: CommandLine): Promise<void> {
  const require = createRequire(import.meta.url);
  const own = named === null || host.isPackaged ? [] : [named];
  // Playwright's loader cuts its own arguments off.
  process.argv = [host.executable, ...process.argv.slice(2)];
  for (const file of preloads) require(file);
  process.argv = [host.executable, ...own, ...appArguments];
  await import(pathToFileURL(host.app.main).href);
}

async function startBrowser({ debuggingPort }: CommandLine): Promise<void> {
  chromium = new ChromiumProcess({ debuggingPort: debuggingPort ?? 0, switches: host.switches });
  const endpoint = await chromium.endpoint();
  const { output, input } = chromium.pipe;
  const cdp = new Cdp(output, input);
  const targets = await Targets.start(cdp, chromium);
  await readScreens(cdp.browser);
  chromium.onExit(() => {
    if (app.hasEnded) return;
    process.stderr.write('Chromium has ended by itself.\n');
    app.exit(1);
  });
  host.connect({ targets, browser: cdp.browser });
  if (debuggingPort !== null) process.stderr.write(`DevTools listening on ${endpoint}\n`);
  app.becomeReady();
}

/** As in Electron: they are told, and the app goes on. */
function tellUnhandledRejections(): void {
  process.on('unhandledRejection', (reason) => {
    if (app.hasEnded) return;
    const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    record.unhandledRejections.push(text);
    process.stderr.write(`UnhandledPromiseRejectionWarning: ${text}\n`);
  });
}

/** A signal asks the app to quit, as in Electron. */
function endWithThisProcess(): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => app.quit());
  process.on('exit', () => chromium?.endNow());
}

async function end(code: number): Promise<void> {
  // `quit` listeners and what follows the call of app.exit come first.
  await new Promise((resolve) => setImmediate(resolve));
  const ending = chromium;
  chromium = null;
  await ending?.end();
  process.exit(code);
}
