// SPDX-License-Identifier: Apache-2.0
/** The connection to the manager, and what every screen needs of it. */
import { defineStore } from 'pinia';
import { ref, shallowRef } from 'vue';
import type { CallInput, CallName, CallOutput, EventEnvelope, GodwitApi } from '../../src-shared/contract.ts';
import { openApi, type ConnectionState } from '../api.ts';
import { useNotices } from './notices.ts';

export const useHost = defineStore('host', () => {
  const connection = ref<ConnectionState>('connecting');
  const api = shallowRef<GodwitApi>();
  const info = ref<CallOutput<'app.info'> | null>(null);

  /** Opens the connection; for tests another one can be given. */
  function open(given?: GodwitApi): void {
    api.value = given ?? openApi((state) => (connection.value = state));
    if (given !== undefined) connection.value = 'connected';
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

  return { connection, info, open, call, perform, subscribe, loadInfo };
});
