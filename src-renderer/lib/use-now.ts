// SPDX-License-Identifier: Apache-2.0
import { onScopeDispose, ref, type Ref } from 'vue';

/** performance.now(), renewed at this interval while the component lives. */
export function useNow(everyMs: number): Ref<number> {
  const now = ref(performance.now());
  const timer = setInterval(() => (now.value = performance.now()), everyMs);
  onScopeDispose(() => clearInterval(timer));
  return now;
}
