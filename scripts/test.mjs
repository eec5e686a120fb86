// SPDX-License-Identifier: Apache-2.0
// npm test. Needs the set-up of boot.mjs: Node 24 and node_modules.
import { main } from './suites/main.ts';

process.exitCode = await main(process.argv.slice(2));
