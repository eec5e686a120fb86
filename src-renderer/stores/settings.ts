// SPDX-License-Identifier: Apache-2.0
import { defineStore } from 'pinia';
import { reactive } from 'vue';
import { DEFAULT_SETTINGS, type EventEnvelope, type Settings } from '../../src-shared/contract.ts';
import { useHost } from './host.ts';

export const useSettings = defineStore('settings', () => {
  /** One object for the life of the page: who holds it sees every change. */
  const settings = reactive<Settings>({ ...DEFAULT_SETTINGS });

  async function load(): Promise<void> {
    use(await useHost().call('settings.get', {}));
  }

  async function change(part: Partial<Settings>): Promise<void> {
    use(await useHost().call('settings.set', part));
  }

  function take(event: EventEnvelope): void {
    if (event.name === 'settings.changed') use(event.data);
  }

  function use(next: Settings): void {
    Object.assign(settings, next);
    const { dataset } = document.documentElement;
    if (next.theme === 'system') delete dataset['theme'];
    else dataset['theme'] = next.theme;
  }

  return { settings, load, change, take };
});
