// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Generator {
  generateWire: () => Map<string, string>;
}

const generator = new URL('../../scripts/generate-wire.mjs', import.meta.url).href;
const { generateWire } = (await import(generator)) as Generator;
const files = [...generateWire()];

test('the table makes a TypeScript and a C++ file', () => {
  expect(files.map(([file]) => file.replace(/^.*\//, ''))).toEqual(['wire.ts', 'wire.h']);
});

test.each(files)('%s is what scripts/generate-wire.mjs makes of the table', (file, text) => {
  expect(readFileSync(file, 'utf8')).toBe(text);
});
