// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync } from 'node:fs';
import { userInfo } from 'node:os';

/** Why no virtual machine can run here, as a sentence with the remedy; null where one can. */
export function whyNoKvm(): string | null {
  try {
    closeSync(openSync('/dev/kvm', constants.O_RDWR));
    return null;
  } catch (error) {
    const { code = 'error' } = error as NodeJS.ErrnoException;
    if (code === 'EACCES')
      return `/dev/kvm may not be opened (sudo usermod -aG kvm ${userInfo().username}, log in again)`;
    return `/dev/kvm cannot be opened: ${code} (switch virtualization on in the firmware, load kvm_intel or kvm_amd)`;
  }
}
