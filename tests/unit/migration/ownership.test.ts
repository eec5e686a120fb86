// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  destinationEvents,
  destinationMayRun,
  destinationPhases,
  destinationSentences,
  ownership,
  ownershipHeard,
  sourceEvents,
  sourceMayRun,
  sourcePhases,
  sourceSentences,
  stepDestination,
  stepSource,
  type DestinationPhase,
  type SourcePhase,
} from '../../../src-shared/migration/ownership.ts';

interface Pair {
  readonly source: SourcePhase;
  readonly destination: DestinationPhase;
}

/** What the two ends can do to each other between two Godwits: every message, each of which may also be lost. */
function neighbours({ source, destination }: Pair): Pair[] {
  const next: Pair[] = [];
  const both = (s: SourcePhase, d: DestinationPhase): void => {
    next.push({ source: s, destination: d });
  };
  // Things an end does by itself or that only break the link.
  if (source === 'idle') both(stepSource(source, 'migrate'), destination);
  if (source === 'copying') both(stepSource(source, 'guest-stopped'), destination);
  for (const event of ['link-lost', 'cancel', 'killed'] as const) both(stepSource(source, event), destination);
  for (const event of ['link-lost', 'killed', 'failed'] as const) both(source, stepDestination(destination, event));
  // Messages, from the phase in which they are sent.
  if (source === 'copying') both(source, stepDestination(destination, 'connected'));
  if (source === 'stopped' && destination === 'loading') both(source, stepDestination(destination, 'applied'));
  if (source === 'stopped' && (destination === 'loaded' || destination === 'waiting'))
    both(stepSource(source, 'loaded'), destination);
  if (source === 'returned' && destination === 'loaded') both(source, stepDestination(destination, 'abandoned'));
  if (source === 'committed' && destination === 'loaded') both(source, stepDestination(destination, 'go'));
  if (source === 'committed' && destination === 'owner') both(stepSource(source, 'shut'), destination);
  // The manager's word: `cont` at a waiting destination once the source has committed, or is gone after it.
  if (source === 'committed' && destination === 'waiting') both(source, stepDestination(destination, 'cont'));
  return next;
}

function reachable(): Pair[] {
  const seen = new Map<string, Pair>();
  const queue: Pair[] = [{ source: 'idle', destination: 'idle' }];
  for (let pair = queue.pop(); pair !== undefined; pair = queue.pop()) {
    const key = `${pair.source}/${pair.destination}`;
    if (seen.has(key)) continue;
    seen.set(key, pair);
    queue.push(...neighbours(pair));
  }
  return [...seen.values()];
}

describe('ownership', () => {
  it('reaches no pair of phases in which both ends may run the guest', () => {
    const doubled = reachable().filter(
      ({ source, destination }) => sourceMayRun[source] && destinationMayRun[destination],
    );
    expect(doubled).toEqual([]);
  });

  it('explores the whole protocol, the lost links included', () => {
    const pairs = reachable().map(({ source, destination }) => `${source}/${destination}`);
    expect(pairs).toEqual(
      expect.arrayContaining(['handed-over/owner', 'returned/waiting', 'committed/waiting', 'returned/gone']),
    );
  });

  it('can have the guest run at one end in every reachable pair where neither end was killed', () => {
    for (const { source, destination } of reachable()) {
      if (source === 'gone' || destination === 'gone') continue;
      const { runs, recoverable } = ownership(source, destination);
      expect(recoverable, `${source}/${destination}`).not.toEqual([]);
      if (runs !== 'neither') expect(recoverable).toEqual([runs]);
    }
  });

  it('keeps the guest at the source when the destination is killed before the commit', () => {
    for (const source of ['copying', 'stopped', 'returned'] as const) {
      expect(ownership(source, 'gone').recoverable, source).toEqual(['source']);
    }
  });

  it('ignores cancel and a lost link after the commit', () => {
    for (const phase of ['committed', 'handed-over'] as const) {
      expect(stepSource(phase, 'cancel')).toBe(phase);
      expect(stepSource(phase, 'link-lost')).toBe(phase);
    }
  });

  it('never starts a destination that holds the guest loaded without GO or cont', () => {
    for (const event of destinationEvents) {
      if (event === 'go') continue;
      expect(destinationMayRun[stepDestination('loaded', event)], event).toBe(false);
    }
    for (const event of destinationEvents) {
      if (event === 'cont') continue;
      expect(destinationMayRun[stepDestination('waiting', event)], event).toBe(false);
    }
  });

  it('has a sentence for every phase and only known phases as results', () => {
    for (const phase of sourcePhases) {
      expect(sourceSentences[phase]).toMatch(/\.$/);
      for (const event of sourceEvents) expect(sourcePhases).toContain(stepSource(phase, event));
    }
    for (const phase of destinationPhases) {
      expect(destinationSentences[phase]).toMatch(/\.$/);
      for (const event of destinationEvents) expect(destinationPhases).toContain(stepDestination(phase, event));
    }
  });

  it('says of a pair with a silent end only what holds whatever phase that end is in', () => {
    const everySource = [...sourcePhases, 'silent'] as const;
    const everyDestination = [...destinationPhases, 'silent'] as const;
    for (const source of everySource) {
      for (const destination of everyDestination) {
        const { runs, recoverable } = ownershipHeard(source, destination);
        const claimed = runs === 'neither' ? recoverable[0] : runs;
        if (claimed === undefined) continue;
        const possible = reachable().filter(
          (pair) =>
            (source === 'silent' || pair.source === source) &&
            (destination === 'silent' || pair.destination === destination),
        );
        const other = claimed === 'source' ? 'destination' : 'source';
        for (const pair of possible) {
          expect(ownership(pair.source, pair.destination).runs, `${source}/${destination}`).not.toBe(other);
        }
      }
    }
  });

  it('does not take an end for gone because it does not answer', () => {
    expect(ownershipHeard('silent', 'waiting')).toEqual({ runs: 'neither', recoverable: [] });
    expect(ownershipHeard('handed-over', 'silent')).toEqual({ runs: 'neither', recoverable: [] });
    expect(ownershipHeard('silent', 'silent')).toEqual({ runs: 'neither', recoverable: [] });
    expect(ownershipHeard('returned', 'silent').runs).toBe('source');
    expect(ownershipHeard('silent', 'owner').runs).toBe('destination');
  });
});
