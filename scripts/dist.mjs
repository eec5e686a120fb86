// SPDX-License-Identifier: Apache-2.0
// npm run dist: the packages for Linux, in dist/. Needs the set-up of boot.mjs: Node 24 and node_modules.
import { main } from './packaging/main.ts';

process.exitCode = await main(process.argv.slice(2), () => import('./build-app.mjs'));
