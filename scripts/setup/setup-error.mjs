// SPDX-License-Identifier: Apache-2.0
/** What went wrong while setting up, as a sentence for the user, followed by a tool's output where that explains it. */
export class SetupError extends Error {
  name = 'SetupError';
}
