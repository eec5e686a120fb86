// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { layerOf, layers, refusal } from '../../scripts/layering/arrows.ts';

const root = path.resolve(import.meta.dirname, '..', '..');

describe('the sources', () => {
  const files = ['src-shared', 'src-main', 'src-renderer'].flatMap(sourceFiles);

  test('are found', () => {
    expect(files.length).toBeGreaterThan(50);
  });

  test('each belong to a layer', () => {
    expect(files.filter((file) => layerOf(file) === null)).toEqual([]);
  });

  test('import only along the arrows', () => {
    const refusals = files.flatMap((file) =>
      specifiersOf(read(file)).flatMap((specifier) => {
        const sentence = refusal(file, specifier);
        return sentence === null ? [] : [`${file}: ${sentence}`];
      }),
    );
    expect(refusals).toEqual([]);
  });

  test('load the native addon in one place', () => {
    const loaders = files.filter((file) => read(file).includes('.node'));
    expect(loaders.filter((file) => /\.node['"`]/.test(read(file)))).toEqual(['src-main/machine/native/index.ts']);
  });

  test('reach the database on its own thread only: from its entry nobody else imports', () => {
    const store = 'src-main/manager/store/';
    const importers = (wanted: string): string[] =>
      files.filter((file) => specifiersOf(read(file), false).some((name) => name.endsWith(wanted)));
    // Types aside, what imports the database is imported by the thread's entry, and the entry by nobody.
    expect(importers('better-sqlite3')).toEqual([`${store}database.ts`]);
    expect(importers('/database.ts')).toEqual([`${store}worker.ts`]);
    expect(importers('/store/worker.ts')).toEqual([]);
    expect(importers('./worker.ts')).toEqual([]);
  });

  test('of the engine read no wall clock', () => {
    const engine = files.filter((file) => layerOf(file) === 'engine');
    expect(engine.filter((file) => /\bDate\.now\b|\bnew Date\b/.test(read(file)))).toEqual([]);
  });
});

describe('the arrows', () => {
  const from = {
    shared: 'src-shared/migration/status.ts',
    renderer: 'src-renderer/stores/runs.ts',
    entry: 'src-main/main.ts',
    electron: 'src-main/shells/electron/window.ts',
    cli: 'src-main/shells/cli/demo.ts',
    manager: 'src-main/manager/core.ts',
    control: 'src-main/control/client.ts',
    host: 'src-main/machine/host/host.ts',
    vm: 'src-main/machine/vm/machine.ts',
    engine: 'src-main/machine/engine/ram/saver.ts',
    native: 'src-main/machine/native/index.ts',
  } as const;

  /** An import of the one file from the other, as it would be written. */
  const specifier = (importer: string, imported: string): string => {
    const relative = path.posix.relative(path.posix.dirname(importer), imported);
    return relative.startsWith('.') ? relative : `./${relative}`;
  };

  test.each([
    ['shared', 'control'],
    ['shared', 'manager'],
    ['renderer', 'manager'],
    ['renderer', 'control'],
    ['manager', 'host'],
    ['manager', 'engine'],
    ['manager', 'native'],
    ['manager', 'cli'],
    ['host', 'manager'],
    ['engine', 'manager'],
    ['host', 'cli'],
    ['control', 'manager'],
    ['control', 'host'],
    ['control', 'native'],
    ['cli', 'native'],
    ['cli', 'electron'],
    ['native', 'engine'],
    ['engine', 'vm'],
    ['engine', 'host'],
    ['vm', 'host'],
  ] as const)('refuse %s importing %s', (importer, imported) => {
    expect(refusal(from[importer], specifier(from[importer], from[imported]))).toMatch(/may not import/);
  });

  test.each([
    ['manager', 'shared'],
    ['manager', 'control'],
    ['cli', 'manager'],
    ['cli', 'host'],
    ['host', 'control'],
    ['host', 'vm'],
    ['vm', 'engine'],
    ['engine', 'native'],
    ['engine', 'shared'],
    ['renderer', 'shared'],
    ['entry', 'electron'],
  ] as const)('let %s import %s', (importer, imported) => {
    expect(refusal(from[importer], specifier(from[importer], from[imported]))).toBeNull();
  });

  test.each([
    ['shared', 'node:fs'],
    ['shared', 'fs'],
    ['shared', 'vue'],
    ['renderer', 'node:path'],
    ['renderer', 'electron'],
    ['cli', 'electron'],
    ['manager', 'electron'],
    ['engine', 'electron/main'],
    ['manager', 'vue'],
  ] as const)('refuse %s importing the package %s', (importer, name) => {
    expect(refusal(from[importer], name)).toMatch(/may not import/);
  });

  test.each([
    ['electron', 'electron'],
    ['entry', 'electron'],
    ['renderer', 'vue'],
    ['shared', 'zod'],
    ['engine', 'node:path'],
  ] as const)('let %s import the package %s', (importer, name) => {
    expect(refusal(from[importer], name)).toBeNull();
  });

  test('refuse a way out into tests and scripts', () => {
    expect(refusal(from.engine, '../../../../tests/support/rig.ts')).toMatch(/belongs to no layer/);
  });

  test('never point both ways between two layers', () => {
    const names = Object.keys(layers) as (keyof typeof layers)[];
    const pairs = names.flatMap((a) =>
      layers[a].imports.filter((b) => layers[b].imports.includes(a)).map((b) => [a, b]),
    );
    expect(pairs).toEqual([]);
  });
});

test('the walk finds an import in every form that it can take', () => {
  const text = `
    import a from 'one'; import type { B } from 'two'; import 'three'; export * from 'four'; export { c } from 'five';
    const d = await import('six'); type E = import('seven').E; const f = require('eight'); import g = require('nine');
    // import no from 'comment'
    const h = "import no from 'string'";`;
  expect(specifiersOf(text)).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']);
});

function sourceFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return []; // a wing that is not there yet
  }
  return names.filter((name) => /\.(ts|vue)$/.test(name)).map((name) => path.posix.join(folder, name));
}

function read(file: string): string {
  const text = readFileSync(path.join(root, file), 'utf8');
  if (!file.endsWith('.vue')) return text;
  return [...text.matchAll(/<script[^>]*>(.*?)<\/script>/gs)].map((match) => match[1]).join('\n');
}

/** Every module that a text names: imports, re-exports, dynamic imports, require; unless `types` is false also types. */
function specifiersOf(text: string, types = true): string[] {
  const found: string[] = [];
  const keep = (node: ts.Node | undefined): void => {
    if (node !== undefined && ts.isStringLiteralLike(node)) found.push(node.text);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      if (types || node.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword) keep(node.moduleSpecifier);
    } else if (ts.isExportDeclaration(node)) {
      if (types || !node.isTypeOnly) keep(node.moduleSpecifier);
    } else if (ts.isImportTypeNode(node) && types)
      keep(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined);
    else if (ts.isExternalModuleReference(node)) keep(node.expression);
    else if (ts.isCallExpression(node) && isImportCall(node)) keep(node.arguments[0]);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.ts', text, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS));
  return found;
}

function isImportCall(node: ts.CallExpression): boolean {
  const { expression } = node;
  return (
    expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(expression) && expression.text === 'require')
  );
}
