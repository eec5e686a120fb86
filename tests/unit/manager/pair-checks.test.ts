// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { whyBlocked, type EndFacts } from '../../../src-main/manager/pair/checks.ts';

const MIB = 1024 ** 2;
const source: EndFacts = {
  path: '/a',
  runState: 'running',
  status: undefined,
  blockedReasons: [],
  memoryBytes: 64 * MIB,
};
const destination: EndFacts = { ...source, path: '/b', runState: 'inmigrate' };

describe('a migration between two foreign machines', () => {
  it.each(['running', 'paused', 'prelaunch', 'suspended'])('may take a guest that is %s', (runState) => {
    expect(whyBlocked({ ...source, runState }, destination)).toBeUndefined();
  });

  it('may be half of one: a guest that is saved, or restored', () => {
    expect(whyBlocked(source, undefined)).toBeUndefined();
    expect(whyBlocked(undefined, destination)).toBeUndefined();
  });

  it('may follow one that failed or was cancelled', () => {
    for (const status of ['failed', 'cancelled'])
      expect(whyBlocked({ ...source, status }, destination)).toBeUndefined();
  });

  it.each<[string, Partial<EndFacts>, Partial<EndFacts>, RegExp]>([
    ['blocked', { blockedReasons: ['The tape is in'] }, {}, /^The guest cannot move: The tape is in$/],
    ['the wrong way round', { runState: 'inmigrate' }, {}, /wrong way round/],
    ['without its guest', { runState: 'postmigrate' }, {}, /has left already/],
    ['crashed', { runState: 'internal-error' }, {}, /is internal-error/],
    ['to a machine that runs', {}, { runState: 'running' }, /does not wait for a guest/],
    ['to a machine that listens already', {}, { status: 'setup' }, /has a migration already \(setup\)/],
    ['to another size', {}, { memoryBytes: 128 * MIB }, /128 MiB of memory, the guest 64 MiB/],
  ])('is blocked where it is %s', (_, from, to, sentence) => {
    expect(whyBlocked({ ...source, ...from }, { ...destination, ...to })).toMatch(sentence);
  });

  it('is not blocked by a size that an end does not tell', () => {
    expect(whyBlocked({ ...source, memoryBytes: undefined }, destination)).toBeUndefined();
  });
});
