// SPDX-License-Identifier: Apache-2.0
// npm run check: types, lint, format and the unit tests; what to run before a commit.
import { main } from './suites/main.ts';

process.exitCode = await main(['--suite', 'unit', ...process.argv.slice(2)]);
