// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MigrationNotifiers, noticeOf, type MigrationNotice } from '../../../src-main/machine/engine/notifiers.ts';
import { SOURCE_TRANSITIONS } from '../../../src-shared/migration/transitions.ts';

describe('migration notifiers', () => {
  it('are told of the beginning and of one end, in their order, for their modes, until they are taken away', () => {
    const notifiers = new MigrationNotifiers();
    const heard: string[] = [];
    const note = (name: string) => (notice: MigrationNotice) => heard.push(`${name} ${notice}`);
    notifiers.add(note('all'));
    notifiers.add(note('reboot'), ['cpr-reboot']);
    const forget = notifiers.add(note('last'));
    for (const status of ['setup', 'active', 'device', 'completed'] as const) notifiers.statusChanged(status, 'normal');
    expect(heard).toEqual(['all setup', 'last setup', 'all done', 'last done']);
    heard.length = 0;
    forget();
    for (const status of ['setup', 'cancelling', 'cancelled'] as const) notifiers.statusChanged(status, 'cpr-reboot');
    expect(heard).toEqual(['all setup', 'reboot setup', 'all failed', 'reboot failed']);
  });

  it('hear of an end on every way out of an attempt', () => {
    const ways = new Set(SOURCE_TRANSITIONS.filter(({ stockOnly }) => stockOnly === undefined).map(({ to }) => to));
    for (const status of ['completed', 'failed', 'cancelled'] as const) {
      expect(ways).toContain(status);
      expect(noticeOf(status)).toMatch(/^(done|failed)$/);
    }
  });
});
