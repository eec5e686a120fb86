// SPDX-License-Identifier: Apache-2.0
/** Makes `import … from 'electron'` and `require('electron')` give the stand-in's module. */
import { registerHooks } from 'node:module';

const URL_OF_MODULE = 'electron:stand-in';
const SPECIFIERS = new Set(['electron', 'electron/main', 'electron/common', 'electron/utility']);

declare global {
  var __standinElectron: Readonly<Record<string, unknown>>;
}

/** `names` are the exports that an import statement may name. */
export function provideElectron(electron: object, names: readonly string[]): void {
  Object.defineProperty(globalThis, '__standinElectron', { value: electron });
  const exported = names.map((name) => `export const ${name} = electron.${name};`);
  // The last line is what require answers.
  const source = [
    'const electron = globalThis.__standinElectron;',
    ...exported,
    'export default electron;',
    `export { electron as 'module.exports' };`,
  ].join('\n');
  registerHooks({
    resolve: (specifier, context, next) =>
      SPECIFIERS.has(specifier)
        ? { url: URL_OF_MODULE, format: 'module', shortCircuit: true }
        : next(specifier, context),
    load: (url, context, next) =>
      url === URL_OF_MODULE ? { format: 'module', source, shortCircuit: true } : next(url, context),
  });
}
