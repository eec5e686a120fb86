// SPDX-License-Identifier: Apache-2.0
// Builds the desktop app into out/app: the main process's modules as JavaScript, one file for each as in the checkout
// (so that what they find beside them is found the same way), the preload as one file, and links to what is built
// elsewhere. The packaged app holds the same tree.
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { build } from 'vite';

const root = path.resolve(import.meta.dirname, '..');
const out = path.join(root, 'out', 'app');
const PRELOAD = 'src-main/shells/electron/preload.ts';

rmSync(out, { recursive: true, force: true });
for (const folder of ['src-main', 'src-shared']) compileFolder(folder);
writeFileSync(path.join(out, 'package.json'), manifest());
link('out/renderer');
link('build/demo-guest.bin');
link('src-main/machine/native/build/Release/godwit.node');
await bundlePreload();

function compileFolder(folder) {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'build') compileFolder(name);
    else if (entry.name.endsWith('.ts') && name !== PRELOAD) compile(name);
  }
}

function compile(name) {
  const { outputText, diagnostics = [] } = ts.transpileModule(readFileSync(path.join(root, name), 'utf8'), {
    fileName: name,
    reportDiagnostics: true,
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2024,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
      removeComments: true,
    },
  });
  if (diagnostics.length > 0) throw new Error(ts.formatDiagnostics(diagnostics, host));
  const file = path.join(out, name.replace(/\.ts$/, '.js'));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `// SPDX-License-Identifier: Apache-2.0\n${outputText}`);
}

/** What Electron, and our own modules, read of it. */
function manifest() {
  const { name, productName, version, description, license, type } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  );
  const own = { name, productName, version, description, license, type, main: 'src-main/main.js' };
  return `${JSON.stringify(own, null, 2)}\n`;
}

function link(name) {
  const at = path.join(out, name);
  mkdirSync(path.dirname(at), { recursive: true });
  symlinkSync(path.relative(path.dirname(at), path.join(root, name)), at);
}

/** A sandboxed preload is one CommonJS file; only `electron` can be required there. */
async function bundlePreload() {
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    build: {
      outDir: path.join(out, path.dirname(PRELOAD)),
      emptyOutDir: false,
      copyPublicDir: false,
      target: 'es2023',
      minify: false,
      lib: { entry: path.join(root, PRELOAD), formats: ['cjs'], fileName: () => 'preload.cjs' },
      rolldownOptions: { external: ['electron'], output: { codeSplitting: false } },
    },
  });
}

const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' };
