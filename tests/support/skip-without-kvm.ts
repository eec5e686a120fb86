// SPDX-License-Identifier: Apache-2.0
import type { TestContext } from 'vitest';
import { whyNoKvm } from '../../scripts/suites/kvm.ts';

/** For a test that runs vCPUs in a file of others that do not. A whole file of such tests has the line `// needs: kvm`. */
export function skipWithoutKvm({ skip }: TestContext): void {
  const reason = whyNoKvm();
  if (reason !== null) skip(reason);
}
