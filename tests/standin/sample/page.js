// SPDX-License-Identifier: Apache-2.0
globalThis.pageScriptRan = true;
globalThis.hadApiAtOnce = typeof globalThis.sample === 'object';
