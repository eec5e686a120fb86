// SPDX-License-Identifier: Apache-2.0
import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import type { EventEnvelope } from '../../src-shared/contract.ts';
import type { MachineView } from '../../src-shared/machine-view.ts';
import { useHost } from './host.ts';

export const useMachines = defineStore('machines', () => {
  const byId = ref(new Map<string, MachineView>());
  const loaded = ref(false);
  /** When each was last told of: performance.now(); ages and uptimes go on from there. */
  const heardAt = new Map<string, number>();
  const list = computed(() => [...byId.value.values()].sort((a, b) => a.createdAt.localeCompare(b.createdAt)));

  async function load(): Promise<void> {
    const { machines } = await useHost().call('machines.list', {});
    const now = performance.now();
    byId.value = new Map(machines.map((machine) => [machine.id, machine]));
    for (const { id } of machines) heardAt.set(id, now);
    loaded.value = true;
  }

  function take(event: EventEnvelope): void {
    if (event.name === 'machine.changed') {
      heardAt.set(event.data.id, performance.now());
      byId.value.set(event.data.id, event.data);
    }
    if (event.name === 'machine.removed') byId.value.delete(event.data.id);
  }

  const get = (id: string): MachineView | undefined => byId.value.get(id);
  /** Milliseconds since it was last told of. */
  const heardAgo = (id: string, now: number): number => Math.max(0, now - (heardAt.get(id) ?? now));

  return { list, loaded, load, take, get, heardAgo };
});
