// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from 'vitest/config';
import { suites } from './scripts/suites/table.ts';

// Long tests (*.long.test.ts) are run by themselves: npm run test:long.
const long = process.env['GODWIT_LONG_TESTS'] === '1';

export default defineConfig({
  test: {
    projects: suites.map(({ name, realMachines }) => ({
      test: {
        name,
        include: [`tests/${name}/**/*${long ? '.long' : ''}.test.ts`],
        exclude: long ? [] : ['**/*.long.test.ts'],
        // Real virtual machines share the processors and are timed: one file at a time, and time for slow hosts.
        fileParallelism: !realMachines,
        testTimeout: (realMachines ? 60_000 : 10_000) * (long ? 60 : 1),
        hookTimeout: (realMachines ? 60_000 : 10_000) * (long ? 10 : 1),
        // A process for each file: the addon's threads and descriptors of one file never meet those of another.
        pool: 'forks',
        globalSetup: ['tests/support/private-home.ts', ...(name === 'e2e' ? ['tests/support/e2e/built-app.ts'] : [])],
      },
    })),
  },
});
