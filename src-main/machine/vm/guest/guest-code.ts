// SPDX-License-Identifier: Apache-2.0
/** The assembled demo guest, as scripts/build-guest.mjs leaves it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DemoGuestError } from './demo-guest.ts';

const GUEST_PATH = fileURLToPath(new URL('../../../../build/demo-guest.bin', import.meta.url));

/** Reads the assembled guest; throws a {@link DemoGuestError} that says how to build it. */
export function loadDemoGuestCode(path: string = GUEST_PATH): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new DemoGuestError(
      'guest-code',
      `the demo guest is not built: ${path} cannot be read (${reason}); run "node scripts/build-guest.mjs"`,
    );
  }
}
