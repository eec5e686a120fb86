// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { parseCount, quote } from '../../../src-shared/machine-settings.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import type { Manager } from '../../manager/manager.ts';
import type { ServedApp, ServeOptions } from '../served/server.ts';
import { exitCodes, type CliIo } from './io.ts';
import { packageVersion } from './package-version.ts';
import type { AddCommand } from './program.ts';

/** A number of ours: browsers keep their bookmarks, and the cookie its name. */
const DEFAULT_PORT = 7468;
const FILES = fileURLToPath(new URL('../../../out/renderer', import.meta.url));
/** A second Ctrl-C within this ends what the first one only told of. */
const CONFIRM_WITHIN_MS = 5000;

interface ServeTexts {
  readonly port?: string;
  readonly host: string;
  readonly open?: boolean;
  readonly name?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly passwordFile?: string;
}

/** `godwit serve`: the app in a browser. */
export const addServeCommand: AddCommand = (program, io, done) => {
  defineServeOptions(program.command('serve')).action(async (texts: ServeTexts) => {
    await serveApp(texts, io);
    done(exitCodes.done);
  });
};

const collect = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];

function defineServeOptions(command: Command): Command {
  return command
    .description('open the app in a browser of this box; prints a start link that is good once, for a minute')
    .option(
      '--port <n>',
      `where to listen; 0: any free port (default: ${String(DEFAULT_PORT)}, or a free one when it is taken)`,
    )
    .option('--host <address>', 'the address to listen on; anything but loopback needs TLS and a password', '127.0.0.1')
    .option('--name <host>', 'a further name under which browsers may ask for it; may be repeated', collect)
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--password-file <file>', 'the password that opens a session, on its first line')
    .option('--open', 'open the browser, where there is a display');
}

/** Serves until it is told to end. */
export async function serveApp(texts: ServeTexts, io: CliIo): Promise<void> {
  const ended = untilInterrupted(io);
  const { serve, isLoopback } = await import('../served/server.ts');
  const tls = await protection(texts, isLoopback(texts.host));
  const begin = Promise.withResolvers<void>();
  // The link is there before the manager is loaded: who opens it finds it loaded.
  const manager = begin.promise.then(async () => {
    const { createManager } = await import('../../manager/core.ts');
    return await createManager({ version: packageVersion(), vehicle: 'served' });
  });
  manager.catch(() => undefined);
  const options: Omit<ServeOptions, 'port'> = {
    host: texts.host,
    files: FILES,
    manager,
    ...(texts.name !== undefined && { names: texts.name }),
    ...(tls !== undefined && { tls }),
  };
  const app = await listen(serve, options, texts.port, io);
  const link = app.newStartLink();
  io.stdout.write(`Godwit is ready: ${link}\n`);
  begin.resolve();
  if (texts.open === true && hasDisplay(io)) openBrowser(app.newStartLink());
  const stopAsking = linksOnEnter(app, io);
  try {
    const running = await Promise.race([manager, ended.promise]);
    if (running !== undefined) await ended.confirmed(() => warning(running, io));
  } finally {
    stopAsking();
    ended.forget();
    await app.close();
    await manager.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }
  await manager;
}

type Serve = (options: ServeOptions) => Promise<ServedApp>;

async function listen(
  serve: Serve,
  options: Omit<ServeOptions, 'port'>,
  text: string | undefined,
  io: CliIo,
): Promise<ServedApp> {
  const port = text === undefined ? DEFAULT_PORT : parseCount('--port', text, 0, 65_535);
  try {
    return await serve({ ...options, port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE' && text === undefined) {
      io.stderr.write(`port ${String(port)} is taken: using a free one\n`);
      return await serve({ ...options, port: 0 });
    }
    if (code === 'EADDRINUSE')
      throw new UsageError(`--port ${String(port)} is taken: choose another one, or 0 for any free port`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new UsageError(`--host ${quote(options.host)} is no address of this box`);
    throw error;
  }
}

/** What a listener beyond loopback needs. */
async function protection(texts: ServeTexts, loopback: boolean): Promise<ServeOptions['tls']> {
  const { tlsCert, tlsKey, passwordFile, host } = texts;
  if (tlsCert === undefined && tlsKey === undefined && passwordFile === undefined) {
    if (loopback) return undefined;
    throw new UsageError(
      `--host ${quote(host)} can be reached from other boxes, so it needs TLS and a password: ` +
        `godwit serve --host ${host} --tls-cert FILE --tls-key FILE --password-file FILE`,
    );
  }
  if (tlsCert === undefined || tlsKey === undefined || passwordFile === undefined) {
    throw new UsageError('--tls-cert, --tls-key and --password-file go together: give all three');
  }
  const [password = ''] = readText('--password-file', passwordFile).split('\n');
  if (password.trim().length < 8) throw new UsageError('--password-file holds a password of fewer than 8 characters');
  const { hashPassword } = await import('../served/password-login.ts');
  return {
    cert: readText('--tls-cert', tlsCert),
    key: readText('--tls-key', tlsKey),
    passwordHash: await hashPassword(password),
  };
}

function readText(option: string, path: string): string {
  if (!existsSync(path)) throw new UsageError(`${option} ${quote(path)} is not there`);
  return readFileSync(path, 'utf8');
}

const hasDisplay = (io: CliIo): boolean => (io.env['DISPLAY'] ?? '') !== '' || (io.env['WAYLAND_DISPLAY'] ?? '') !== '';

function openBrowser(link: string): void {
  const child = spawn('xdg-open', [link], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined); // the printed link does it too
  child.unref();
}

/** On a terminal Enter prints a fresh link. */
function linksOnEnter(app: ServedApp, io: CliIo): () => void {
  if (!process.stdin.isTTY) return () => undefined;
  io.stdout.write('Enter prints a new link, Ctrl-C ends.\n');
  const lines = createInterface({ input: process.stdin });
  lines.on('line', () => void io.stdout.write(`Godwit is ready: ${app.newStartLink()}\n`));
  return () => lines.close();
}

interface Interruption {
  readonly promise: Promise<undefined>;
  /** Resolves when it is to end: at once without a terminal or without anything to lose. */
  confirmed(warn: () => Promise<boolean>): Promise<void>;
  forget(): void;
}

function untilInterrupted(io: CliIo): Interruption {
  let first = Promise.withResolvers<undefined>();
  const forget = io.onInterrupt(() => first.resolve(undefined));
  const { promise } = first;
  return {
    promise,
    forget,
    confirmed: async (warn) => {
      for (;;) {
        await first.promise;
        if (io.stdout.isTTY !== true || !(await warn())) return;
        first = Promise.withResolvers();
        const late = AbortSignal.timeout(CONFIRM_WITHIN_MS);
        const again = await Promise.race([
          first.promise.then(() => true),
          new Promise<false>((resolve) => late.addEventListener('abort', () => resolve(false), { once: true })),
        ]);
        if (again) return;
        io.stdout.write('Godwit goes on.\n');
        first = Promise.withResolvers();
      }
    },
  };
}

/** Says what an end would end; false where it would end nothing that runs. */
async function warning(manager: Manager, io: CliIo): Promise<boolean> {
  const { machines } = (await manager.call('machines.list', {})) as {
    machines: { settings: { name: string; lifetime: string }; pid: number | null }[];
  };
  const live = machines.filter(({ pid }) => pid !== null);
  const ends = live.filter(({ settings }) => settings.lifetime === 'attached').map(({ settings }) => settings.name);
  const stays = live.filter(({ settings }) => settings.lifetime === 'detached').map(({ settings }) => settings.name);
  if (ends.length === 0) return false;
  const rest = stays.length === 0 ? '' : ` ${stays.join(', ')} ${stays.length === 1 ? 'stays' : 'stay'}.`;
  io.stdout.write(`\nThis ends ${ends.join(', ')}.${rest} Press Ctrl-C again within 5 s to end.\n`);
  return true;
}
