// SPDX-License-Identifier: Apache-2.0

/** A machine's name may hold anything that is printed; a file's may not begin with a dot or hold a slash. */
export function suggestedName(machine: string): string {
  const name = machine
    .replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 60);
  return `${name === '' ? 'guest' : name}.state`;
}
