// SPDX-License-Identifier: Apache-2.0
// Builds the screens into out/renderer. Plain Vite: one document, hashed assets, nothing inline.
import path from 'node:path';
import vue from '@vitejs/plugin-vue';
import { build } from 'vite';

const root = path.resolve(import.meta.dirname, '..');

await build({
  configFile: false,
  root: path.join(root, 'src-renderer'),
  base: '/',
  logLevel: 'error',
  plugins: [vue()],
  build: {
    outDir: path.join(root, 'out', 'renderer'),
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
  },
});
