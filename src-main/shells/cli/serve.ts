// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { CallOutput } from '../../../src-shared/contract.ts';
import { parseCount, quote } from '../../../src-shared/machine-settings.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import type { Manager } from '../../manager/manager.ts';
import { endingSentence } from '../ending.ts';
import type { ServedApp, ServeOptions } from '../served/server.ts';
import { isDisplayThere } from './display.ts';
import { Interruption } from './interruption.ts';
import { exitCodes, type CliIo } from './io.ts';
import { packageVersion } from './package-version.ts';
import type { AddCommand } from './program.ts';
import { protection, type ProtectionTexts } from './serve-protection.ts';

/** A number of ours: browsers keep their bookmarks, and the cookie its name. */
const DEFAULT_PORT = 7468;
const FILES = fileURLToPath(new URL('../../../out/renderer', import.meta.url));

interface ServeTexts extends ProtectionTexts {
  readonly port?: string;
  readonly open?: boolean;
  readonly name?: readonly string[];
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
async function serveApp(texts: ServeTexts, io: CliIo): Promise<void> {
  const interruption = new Interruption(io);
  const tls = await protection(texts);
  const { serve } = await import('../served/server.ts');
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
  const stopAsking = linksOnDemand(app, io);
  io.stdout.write(`Godwit is ready: ${app.newStartLink()}\n`);
  begin.resolve();
  if (texts.open === true && isDisplayThere(io.env)) openBrowser(app.newStartLink());
  try {
    await Promise.race([manager, interruption.first]);
    await interruption.confirmed(
      async () => await warn(await manager, io),
      () => void io.stdout.write('Godwit goes on.\n'),
    );
  } finally {
    stopAsking();
    interruption.forget();
    await app.close();
    await manager.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }
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
    throw listenError(code, options.host, port) ?? error;
  }
}

function listenError(code: unknown, host: string, port: number): UsageError | undefined {
  switch (code) {
    case 'EADDRINUSE':
      return new UsageError(`--port ${String(port)} is taken: choose another one, or 0 for any free port`);
    case 'EACCES':
      return new UsageError(`--port ${String(port)} may not be used by this user: choose one above 1023`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new UsageError(`--host ${quote(host)} is no address of this box`);
    default:
      return undefined;
  }
}

function openBrowser(link: string): void {
  const child = spawn('xdg-open', [link], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined); // the printed link does it too
  child.unref();
}

/** A fresh link: on a terminal by Enter, everywhere by SIGUSR2. */
function linksOnDemand(app: ServedApp, io: CliIo): () => void {
  const print = (): void => void io.stdout.write(`Godwit is ready: ${app.newStartLink()}\n`);
  process.on('SIGUSR2', print);
  if (!process.stdin.isTTY) return () => void process.off('SIGUSR2', print);
  io.stdout.write('Enter prints a new link, Ctrl-C ends.\n');
  const lines = createInterface({ input: process.stdin });
  lines.on('line', print);
  return () => {
    process.off('SIGUSR2', print);
    lines.close();
  };
}

/** Says what an end would end; false where nobody is there to read it, or nothing that runs would end. */
async function warn(manager: Manager, io: CliIo): Promise<boolean> {
  if (io.stdout.isTTY !== true) return false;
  const { machines } = (await manager.call('machines.list', {})) as CallOutput<'machines.list'>;
  const { runs } = (await manager.call('runs.active', {})) as CallOutput<'runs.active'>;
  const sentence = endingSentence(machines, runs);
  if (sentence === undefined) return false;
  io.stdout.write(`\n${sentence} Press Ctrl-C again within 5 s to end.\n`);
  return true;
}
