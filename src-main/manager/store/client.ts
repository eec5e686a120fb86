// SPDX-License-Identifier: Apache-2.0
import type { Store, StoreOptions } from './store.ts';
import { StoreError } from './store-error.ts';

/** Not there yet: only the interface is. */
export async function startStore(options: StoreOptions): Promise<Store> {
  throw new StoreError('FAILED', `the store ${options.path ?? ''} is not built yet`);
}
