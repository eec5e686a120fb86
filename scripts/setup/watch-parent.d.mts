// SPDX-License-Identifier: Apache-2.0
/** Calls `onGone` once when the process that started us has died. Answers a function that ends the watch. */
export declare function watchParent(onGone: () => void): () => void;
