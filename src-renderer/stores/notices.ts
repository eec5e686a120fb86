// SPDX-License-Identifier: Apache-2.0
/** What is told in passing, with an action where one helps. */
import { defineStore } from 'pinia';
import { ref } from 'vue';

export interface Notice {
  readonly id: number;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** Errors stay until they are closed. */
const STAYS_MS = 10_000;
const MOST = 5;

export const useNotices = defineStore('notices', () => {
  const notices = ref<Notice[]>([]);
  let last = 0;

  function show(level: Notice['level'], text: string, action?: Notice['action']): void {
    if (notices.value.some((notice) => notice.text === text)) return;
    last += 1;
    const id = last;
    notices.value = [...notices.value, { id, level, text, ...(action !== undefined && { action }) }].slice(-MOST);
    if (level !== 'error') setTimeout(() => close(id), STAYS_MS);
  }

  function close(id: number): void {
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  return { notices, show, close };
});
