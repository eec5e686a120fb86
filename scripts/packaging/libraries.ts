// SPDX-License-Identifier: Apache-2.0
// Which releases of the system's libraries the native addons need. The addon is compiled where the package is made, so
// that it may need newer ones there than elsewhere: the package says so instead of failing when it is started.

/** The GCC whose libstdc++ has the symbols GLIBCXX_3.4.N first. */
const GCC_OF: Readonly<Record<number, string>> = { 29: '11', 30: '12', 31: '13.1', 32: '13.2', 33: '14', 34: '15' };

/** As a .deb says it. The names of the symbols' versions stand in the binaries as text. */
export function libraryDependencies(binaries: readonly Buffer[]): readonly string[] {
  const text = binaries.map((binary) => binary.toString('latin1')).join('\n');
  const glibc = Math.max(...numbers(text, /\bGLIBC_2\.(\d+)/g));
  const newest = Math.max(...numbers(text, /\bGLIBCXX_3\.4\.(\d+)/g));
  const gcc = GCC_OF[Math.min(newest, Math.max(...Object.keys(GCC_OF).map(Number)))];
  return [
    Number.isFinite(glibc) ? `libc6 (>= 2.${glibc})` : 'libc6',
    gcc === undefined ? 'libstdc++6' : `libstdc++6 (>= ${gcc})`,
  ];
}

const numbers = (text: string, pattern: RegExp): number[] => [...text.matchAll(pattern)].map(([, n]) => Number(n));
