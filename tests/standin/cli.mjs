// SPDX-License-Identifier: Apache-2.0
// The stand-in for the electron executable: `electron [-r FILE] [switches] APP [arguments of the app]`.
import { run } from './run.ts';

await run(process.argv.slice(2));
