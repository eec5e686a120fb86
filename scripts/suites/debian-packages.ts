// SPDX-License-Identifier: Apache-2.0
// The Debian packages that tests need beyond what the build needs, and how they get there.
import { spawnSync } from 'node:child_process';
import { accessSync } from 'node:fs';

interface Need {
  readonly debian: string;
  /** A file of the package: present means installed. */
  readonly file: string;
  readonly suites: readonly string[];
  readonly reason: string;
}

const needs: readonly Need[] = [
  { debian: 'g++', file: '/usr/bin/g++', suites: ['native'], reason: 'compiles the tests of the C++ core' },
  { debian: 'doctest-dev', file: '/usr/include/doctest/doctest.h', suites: ['native'], reason: 'their framework' },
  { debian: 'clang', file: '/usr/bin/clang++', suites: ['faults'], reason: 'compiles the fuzz targets' },
  {
    debian: 'libclang-rt-14-dev',
    file: '/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.fuzzer-x86_64.a',
    suites: ['faults'],
    reason: 'their engine and sanitizers',
  },
  {
    debian: 'qemu-system-x86',
    file: '/usr/bin/qemu-system-x86_64',
    suites: ['interop'],
    reason: 'the peer that Godwit is held against',
  },
  { debian: 'chromium', file: '/usr/bin/chromium', suites: ['e2e'], reason: 'the browser that users would have' },
  { debian: 'xvfb', file: '/usr/bin/Xvfb', suites: ['e2e'], reason: 'the screen of windows that nobody looks at' },
  {
    debian: 'python3',
    file: '/usr/bin/python3',
    suites: ['engine', 'interop'],
    reason: 'QMP clients in another language',
  },
];

/**
 * Installs what the suites lack: as root, or with GODWIT_INSTALL=1 through sudo. On an ordinary user's machine nothing
 * is installed. Answers a sentence with the remedy when something is still missing, else null.
 */
export function provideDebianPackages(suites: readonly string[]): string | null {
  const missing = missingFor(suites);
  if (missing.length === 0) return null;
  const names = missing.map(({ debian }) => debian);
  const list = missing.map(({ debian, reason }) => `${debian} (${reason})`).join(', ');
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && process.env['GODWIT_INSTALL'] !== '1') {
    return `the tests need ${list}. Install with: sudo apt install ${names.join(' ')} (or set GODWIT_INSTALL=1)`;
  }
  console.log(`installing Debian packages: ${list}`);
  const prefix = isRoot ? [] : ['sudo', '--preserve-env=DEBIAN_FRONTEND'];
  aptGet(prefix, ['update', '--quiet=2']); // may fail for one of many sources: what counts is whether install works
  aptGet(prefix, ['install', '--quiet=2', '--yes', '--no-install-recommends', ...names]);
  const still = missingFor(suites).map(({ debian }) => debian);
  if (still.length === 0) return null;
  return `apt-get could not install ${still.join(', ')}, which the tests need.`;
}

function missingFor(suites: readonly string[]): Need[] {
  return needs.filter((need) => need.suites.some((suite) => suites.includes(suite)) && !exists(need.file));
}

function aptGet(prefix: readonly string[], args: readonly string[]): void {
  const [command = '', ...rest] = [...prefix, 'apt-get', ...args];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // What it prints on stdout helps only when something goes wrong, and then stderr says it.
  const { error } = spawnSync(command, rest, { stdio: ['inherit', 'ignore', 'inherit'], env });
  if (error !== undefined) console.error(`${command} cannot be run: ${error.message}`);
}

function exists(file: string): boolean {
  try {
    accessSync(file);
    return true;
  } catch {
    return false;
  }
}
