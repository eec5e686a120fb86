// SPDX-License-Identifier: Apache-2.0
/** The desktop app is built before its tests, where its sources changed. */
import { join } from 'node:path';
import { appIsCurrent, buildApp } from '../../../scripts/setup/app.mjs';

const root = join(import.meta.dirname, '..', '..', '..');

export async function setup(): Promise<void> {
  if (!appIsCurrent(root)) await buildApp(root);
}
