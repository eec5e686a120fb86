// SPDX-License-Identifier: Apache-2.0

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

/** What a suite, or a part of one, came to. */
export interface Outcome {
  readonly passed: number;
  /** Names of what failed. */
  readonly failed: readonly string[];
  readonly skipped: readonly Skip[];
}

export const nothing: Outcome = { passed: 0, failed: [], skipped: [] };

export function failure(name: string): Outcome {
  return { ...nothing, failed: [name] };
}

export function sum(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((total, { passed }) => total + passed, 0),
    failed: outcomes.flatMap(({ failed }) => failed),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  };
}

/** `12 passed, 0 failed`, and `, 3 skipped` where any were. */
export function countLine({ passed, failed, skipped }: Outcome): string {
  const counts = `${passed} passed, ${failed.length} failed`;
  return skipped.length === 0 ? counts : `${counts}, ${skipped.length} skipped`;
}
