// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { libraryDependencies } from '../../../scripts/packaging/libraries.ts';

const binary = (...versions: string[]): Buffer => Buffer.from(`\x7fELF\0${versions.join('\0')}\0`);

describe('the libraries that a package needs', () => {
  it('are of the newest release that any of its binaries needs', () => {
    const binaries = [binary('GLIBC_2.2.5', 'GLIBC_2.34'), binary('GLIBC_2.17', 'GLIBCXX_3.4.21', 'GLIBCXX_3.4.30')];
    expect(libraryDependencies(binaries)).toEqual(['libc6 (>= 2.34)', 'libstdc++6 (>= 12)']);
  });

  it('are of any release where a binary needs nothing new', () => {
    expect(libraryDependencies([binary('GLIBCXX_3.4.9')])).toEqual(['libc6', 'libstdc++6']);
  });

  it('are of the newest release that is known where a binary needs a newer one', () => {
    expect(libraryDependencies([binary('GLIBC_2.41', 'GLIBCXX_3.4.99')])).toEqual([
      'libc6 (>= 2.41)',
      'libstdc++6 (>= 15)',
    ]);
  });
});
