// SPDX-License-Identifier: Apache-2.0
/** Runs under way, and the one that is looked at with its samples and events. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef, triggerRef } from 'vue';
import type { EventEnvelope } from '../../src-shared/contract.ts';
import type { RunEvent, RunSample, RunView, Whereabouts } from '../../src-shared/run.ts';
import { SampleSeries } from '../lib/sample-series.ts';
import { useHost } from './host.ts';

/** More than a run has; the oldest go. */
const MOST_EVENTS = 2000;
const PAGE = 10_000;

export interface WatchedRun {
  readonly id: string;
  readonly series: SampleSeries;
  readonly events: RunEvent[];
  /** What was left when each pass began, bytes. */
  readonly leftAtPasses: number[];
  /** Seconds at which each pass began. */
  readonly passStarts: number[];
  lastPass: number;
  /** Samples that came while the recorded ones were asked for; null when those are there. */
  early: { readonly index: number; readonly sample: RunSample }[] | null;
}

export const useRuns = defineStore('runs', () => {
  const active = ref(new Map<string, RunView>());
  const shown = shallowRef<RunView | null>(null);
  const watched = shallowRef<WatchedRun | null>(null);
  const list = computed(() => [...active.value.values()]);
  async function load(): Promise<void> {
    const { runs } = await useHost().call('runs.active', {});
    active.value = new Map(runs.map((run) => [run.id, run]));
    const id = watched.value?.id;
    if (id !== undefined) await watch(id);
  }

  /** Shows a run, live or recorded. The last one that was asked for is shown, whichever answers last. */
  async function watch(id: string): Promise<void> {
    const host = useHost();
    const next: WatchedRun = {
      id,
      series: new SampleSeries(),
      events: [],
      leftAtPasses: [],
      passStarts: [],
      lastPass: 0,
      early: [],
    };
    watched.value = next;
    shown.value = null;
    const isCurrent = (): boolean => watched.value === next;
    const run = await host.call('runs.get', { runId: id });
    if (!isCurrent()) return;
    // A change that was told meanwhile is newer than this answer.
    shown.value ??= run;
    for (let from = 0; ; from += PAGE) {
      const { samples, total } = await host.call('runs.samples', { runId: id, from, limit: PAGE });
      if (!isCurrent()) return;
      for (const sample of samples) add(next, sample);
      if (from + samples.length >= total || samples.length === 0) break;
    }
    const { total } = await host.call('runs.events', { runId: id, from: 0, limit: 1 });
    const { events } = await host.call('runs.events', {
      runId: id,
      from: Math.max(0, total - MOST_EVENTS),
      limit: MOST_EVENTS,
    });
    if (!isCurrent()) return;
    const known = new Set(next.events.map(({ seq }) => seq));
    next.events.push(...events.filter(({ seq }) => !known.has(seq)));
    next.events.sort((x, y) => x.seq - y.seq);
    const waiting = next.early ?? [];
    next.early = null;
    for (const { index, sample } of waiting) if (index >= next.series.taken) add(next, sample);
    triggerRef(watched);
  }

  function unwatch(): void {
    watched.value = null;
    shown.value = null;
  }

  function take(event: EventEnvelope): void {
    if (event.name === 'run.changed') {
      const run = event.data;
      if (run.outcome === 'active') active.value.set(run.id, run);
      else active.value.delete(run.id);
      if (watched.value?.id === run.id) shown.value = run;
    }
    const now = watched.value;
    if (now === null) return;
    if (event.name === 'run.sample' && event.data.runId === now.id) {
      if (now.early !== null) now.early.push(event.data);
      else if (event.data.index >= now.series.taken) add(now, event.data.sample);
      triggerRef(watched);
    }
    if (event.name === 'run.event' && event.data.runId === now.id) {
      const { seq } = event.data.event;
      if (!now.events.some((known) => known.seq === seq)) now.events.push(event.data.event);
      if (now.events.length > MOST_EVENTS) now.events.shift();
      triggerRef(watched);
    }
  }

  function showWhere(where: Whereabouts): void {
    if (shown.value !== null) shown.value = { ...shown.value, where };
  }

  return { active, list, shown, watched, load, watch, unwatch, take, showWhere };
});

function add(run: WatchedRun, sample: RunSample): void {
  run.series.push(sample);
  if (sample.pass <= run.lastPass) return;
  run.lastPass = sample.pass;
  run.passStarts.push(sample.t / 1000);
  run.leftAtPasses.push(sample.remainingBytes);
}
