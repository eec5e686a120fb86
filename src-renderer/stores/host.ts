// SPDX-License-Identifier: Apache-2.0
/** The connection to the manager, and what every screen needs of it. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { DesktopCallInput } from '../../src-shared/desktop-bridge.ts';
import type { CallInput, CallName, CallOutput, EventEnvelope, GodwitApi } from '../../src-shared/contract.ts';
import { ServedHost, type ConnectionState } from '../api.ts';
import { DesktopHost } from '../desktop-host.ts';
import { useNotices } from './notices.ts';

export const useHost = defineStore('host', () => {
  const connection = ref<ConnectionState>('connecting');
  const api = shallowRef<GodwitApi>();
  const desktop = shallowRef<DesktopHost>();
  const isDesktop = computed(() => desktop.value !== undefined);
  const info = ref<CallOutput<'app.info'> | null>(null);

  /** Opens the connection. `show`: called when the desktop asks for a screen. For tests another one can be given. */
  function open(show: (route: string) => void, given?: GodwitApi): void {
    const bridge = window.godwit;
    if (given !== undefined) {
      use(given);
    } else if (bridge !== undefined) {
      const host = new DesktopHost(bridge, show);
      desktop.value = host;
      use(host);
    } else {
      const { origin } = window.location;
      api.value = new ServedHost({ origin, onConnection: (state) => (connection.value = state) });
    }
  }

  function use(host: GodwitApi): void {
    api.value = host;
    connection.value = 'connected';
  }

  /** Asks by the desktop's own dialog; null where the user chose none. Only where {@link isDesktop}. */
  async function chooseFile(input: DesktopCallInput<'chooseFile'>): Promise<string | null> {
    return (await desktop.value?.desktop('chooseFile', input))?.path ?? null;
  }

  async function copyText(text: string): Promise<void> {
    try {
      if (desktop.value !== undefined) await desktop.value.desktop('copyText', { text });
      else await navigator.clipboard.writeText(text);
    } catch {
      useNotices().show('warning', 'The text could not be copied.');
    }
  }

  async function call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>> {
    if (api.value === undefined) throw new Error('the host is used before it is open');
    return await api.value.call(name, input);
  }

  /** Performs a call for which a failure is told to the user. Answers whether it went well. */
  async function perform<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<boolean> {
    try {
      await call(name, input);
      return true;
    } catch (error) {
      useNotices().show('error', error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  function subscribe(onEvent: (event: EventEnvelope) => void, onGap: () => void): () => void {
    return api.value?.subscribe(onEvent, onGap) ?? (() => undefined);
  }

  async function loadInfo(): Promise<void> {
    info.value = await call('app.info', {});
  }

  return { connection, info, isDesktop, open, call, perform, subscribe, loadInfo, chooseFile, copyText };
});
