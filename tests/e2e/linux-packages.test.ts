// SPDX-License-Identifier: Apache-2.0
/** What a .deb and an AppImage of Godwit hold beside the app, and that the command line works from there. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iconSizes } from '../../scripts/packaging/icons.ts';
import { packApp, type PackedApp } from '../support/packaging.ts';

const run = promisify(execFile);

let app: PackedApp;
/** Below it lies what the .deb installs. */
let installed: string;
let appDir: string;

beforeAll(async () => {
  app = await packApp(['deb', 'AppImage']);
  appDir = app.appDir!;
  installed = join(dirname(app.resources), '..', '..', 'installed');
  execFileSync('dpkg-deb', ['--extract', app.deb!, installed]);
});
// It may have failed before there was one.
afterAll(() => (app as PackedApp | undefined)?.dispose());

/** What the installed files see of the display is the test's. */
const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  const { DISPLAY: _x11, WAYLAND_DISPLAY: _wayland, ELECTRON_RUN_AS_NODE: _node, ...rest } = process.env;
  return { ...rest, ...more };
};
const mode = (name: string): string => (statSync(join(installed, name)).mode & 0o777).toString(8);
const entries = (desktopFile: string): Map<string, string> =>
  new Map(
    readFileSync(desktopFile, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, key, value] = /^([\w-]+)=(.*)$/.exec(line) ?? [];
        return key === undefined || value === undefined ? [] : [[key, value] as const];
      }),
  );

describe('the .deb', () => {
  const programs = ['opt/Godwit/godwit-desktop', 'usr/bin/godwit'];
  const others = [
    'opt/Godwit/resources/app.asar',
    'usr/share/man/man1/godwit.1.gz',
    'usr/share/bash-completion/completions/godwit',
    'usr/share/metainfo/io.godwit.Godwit.metainfo.xml',
    'usr/share/doc/godwit/copyright',
    'usr/share/applications/io.godwit.Godwit.desktop',
    ...iconSizes.map((size) => `usr/share/icons/hicolor/${size}x${size}/apps/godwit-desktop.png`),
  ];

  it.each(programs)('installs /%s as a program', (name) => {
    expect(mode(name)).toBe('755');
  });

  it.each(others)('installs /%s to be read by all', (name) => {
    expect(mode(name)).toBe('644');
  });

  it('asks for the libraries of Electron, and recommends QEMU', () => {
    const field = (name: string): string =>
      execFileSync('dpkg-deb', ['--field', app.deb!, name], { encoding: 'utf8' }).trim();
    expect(field('Package')).toBe('godwit');
    expect(field('Architecture')).toBe('amd64');
    expect(field('Depends').split(', ')).toEqual(
      expect.arrayContaining(['libgtk-3-0t64 | libgtk-3-0', 'libnss3', 'libgbm1', 'libasound2t64 | libasound2']),
    );
    // What our own addon needs was read from it.
    expect(field('Depends')).toMatch(/\blibc6 \(>= 2\.\d+\), libstdc\+\+6 \(>= \d+/);
    expect(field('Recommends')).toBe('qemu-system-x86');
  });

  it('has a menu entry that belongs to its window and opens its links', () => {
    const entry = entries(join(installed, 'usr/share/applications/io.godwit.Godwit.desktop'));
    expect(Object.fromEntries(entry)).toMatchObject({
      Name: 'Godwit',
      Exec: '/opt/Godwit/godwit-desktop %U',
      Icon: 'godwit-desktop',
      Terminal: 'false',
      StartupWMClass: 'io.godwit.Godwit',
      MimeType: 'x-scheme-handler/godwit;',
      Categories: 'System;Emulator;',
    });
    expect(entry.get('Comment')).not.toBe('');
    expect(entry.get('Keywords')).toContain('live migration;');
  });

  it('keeps the sandbox where the system restricts user namespaces', () => {
    const profile = readFileSync(join(installed, 'opt/Godwit/resources/apparmor-profile'), 'utf8');
    expect(profile).toMatch(/profile "godwit-desktop" "\/opt\/Godwit\/godwit-desktop"[^}]*userns,/);
  });
});

describe('the installed command line', () => {
  const godwit = (): string => join(installed, 'usr/bin/godwit');

  it('runs without a display, on the executable of the app', async () => {
    const { stdout } = await run(godwit(), ['--help'], { env: environment() });
    expect(stdout).toMatch(/^Usage: godwit /);
  });

  it('passes arguments on as they are, and answers the exit code', () => {
    const args = ['inspect', 'no such file; *'];
    const { status, stderr } = spawnSync(godwit(), args, { env: environment({ DISPLAY: ':0' }), encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('no such file; *');
  });

  it('opens the window when it is given nothing and there is a display', async () => {
    const env = environment({ WAYLAND_DISPLAY: 'wayland-0', ELECTRON_RUN_AS_NODE: '1' });
    const { stdout } = await run(godwit(), [], { env });
    expect(stdout).toBe('window: \n');
  });

  it('works from beside the app as well', async () => {
    const { stdout } = await run(join(appDir, 'godwit'), ['--version'], { env: environment() });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  // Where Godwit is installed on this box, that one is found.
  it.skipIf(existsSync('/opt/Godwit/godwit-desktop'))('says so when the app is not there', () => {
    const alone = join(installed, 'alone');
    mkdirSync(alone);
    writeFileSync(join(alone, 'godwit'), readFileSync(godwit()));
    const { status, stderr } = spawnSync('sh', [join(alone, 'godwit'), '--version'], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^godwit: the app is not installed: .*\n$/);
  });
});

describe('the AppImage', () => {
  it('has the menu entry and the icon where the desktop looks for them', () => {
    const entry = entries(join(appDir, 'io.godwit.Godwit.desktop'));
    expect(entry.get('Exec')).toBe('AppRun %U');
    expect(entry.get('StartupWMClass')).toBe('io.godwit.Godwit');
    expect(readlinkSync(join(appDir, '.DirIcon'))).toBe('usr/share/icons/hicolor/512x512/apps/godwit-desktop.png');
  });

  /** With an unshare that ends so. */
  const start = (allowed: boolean, ...args: string[]) => {
    const system = join(installed, `unshare-${String(allowed)}`);
    mkdirSync(system, { recursive: true });
    writeFileSync(join(system, 'unshare'), `#!/bin/sh\nexit ${allowed ? 0 : 1}\n`);
    chmodSync(join(system, 'unshare'), 0o755);
    const env = environment({ PATH: `${system}:${process.env['PATH'] ?? ''}` });
    return spawnSync(join(appDir, 'AppRun'), args, { env, encoding: 'utf8' });
  };

  it('starts with its sandbox', () => {
    expect(start(true, 'godwit://run/1')).toMatchObject({ status: 0, stdout: 'window: godwit://run/1\n' });
  });

  it('does not start without one, and says what to do', () => {
    const { status, stderr, stdout } = start(false);
    expect(status).not.toBe(0);
    // On a terminal it is the error output. Ours here is a socket, which cannot be opened by its name.
    expect(stderr + stdout).toMatch(/^godwit: Godwit cannot make its sandbox: .*\nInstall the \.deb package instead/);
    expect(stdout).not.toContain('window');
  });

  it('starts without one when the user says so', () => {
    expect(start(false, '--no-sandbox')).toMatchObject({ status: 0, stdout: 'window: --no-sandbox\n' });
  });

  it('leaves the .deb as it is', () => {
    expect(existsSync(join(appDir, 'usr/sbin/unshare'))).toBe(true);
    expect(existsSync(join(installed, 'opt/Godwit/usr'))).toBe(false);
  });
});
