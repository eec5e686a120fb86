// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { recordedRunView } from '../../../src-shared/recorded-view.ts';
import { RUN_OUTCOMES, runView } from '../../../src-shared/run.ts';
import { newRun } from '../../support/store-samples.ts';

it.each(RUN_OUTCOMES)(
  'a recorded run that is %s is a valid view on which nothing can be done, with the reason',
  (outcome) => {
    const view = recordedRunView(newRun({ outcome, status: 'active' }));
    expect(runView.parse(view)).toEqual(view);
    const reason = outcome === 'active' ? 'Another Godwit process drives this run.' : 'This run has ended.';
    expect(Object.values(view.controls)).toEqual(Array.from({ length: 6 }, () => ({ enabled: false, reason })));
  },
);
