// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Backlog } from '../../../src-main/shells/served/backlog.ts';
import type { EventEnvelope } from '../../../src-shared/contract.ts';

/** Names and data are all that the backlog looks at. */
const event = (seq: number, name: string, data: object): EventEnvelope =>
  ({ epoch: 'e', seq, name, data }) as unknown as EventEnvelope;

function drained(backlog: Backlog): number[] {
  const seqs: number[] = [];
  for (let text = backlog.shift(); text !== undefined; text = backlog.shift()) {
    seqs.push((JSON.parse(text) as { seq: number }).seq);
  }
  return seqs;
}

describe('a backlog', () => {
  it('keeps only the latest picture of each run, at the place of the latest', () => {
    const backlog = new Backlog();
    backlog.add(event(1, 'run.changed', { id: 'a' }));
    backlog.add(event(2, 'run.sample', { runId: 'a' }));
    backlog.add(event(3, 'notice', { text: 'kept' }));
    backlog.add(event(4, 'run.changed', { id: 'b' }));
    backlog.add(event(5, 'run.changed', { id: 'a' }));
    backlog.add(event(6, 'notice', { text: 'kept' }));
    backlog.add(event(7, 'run.sample', { runId: 'a' }));
    expect(drained(backlog)).toEqual([3, 4, 5, 6, 7]);
  });

  it('knows its bytes at every moment', () => {
    const backlog = new Backlog();
    for (let seq = 1; seq <= 20; seq += 1) {
      backlog.add(event(seq, seq % 3 === 0 ? 'notice' : 'run.changed', { id: 'a', text: 'x'.repeat(seq) }));
    }
    let bytes = backlog.bytes;
    for (let text = backlog.shift(); text !== undefined; text = backlog.shift()) {
      bytes -= text.length;
      expect(backlog.bytes).toBe(bytes);
    }
    expect(bytes).toBe(0);
    expect(backlog.size).toBe(0);
  });
});
