// SPDX-License-Identifier: Apache-2.0
/** The manager as a shell holds it: calls in, events out. No shell knows more of it. */
import type { EventEnvelope } from '../../src-shared/contract.ts';

export interface Manager {
  /** Names this life of the manager; sequence numbers count within it. */
  readonly epoch: string;
  /** Sequence number of the newest event; 0 before the first. */
  readonly seq: number;
  /**
   * Checks the input by the call's schema, performs it, checks the answer. Rejects with a CallError and nothing else;
   * `name` and `input` come from the other side of a border and may be anything.
   */
  call(name: string, input: unknown): Promise<unknown>;
  /** The events after `seq`, in order; null when some of them are not held any more (or `seq` never was). */
  replay(seq: number): readonly EventEnvelope[] | null;
  /** Every event from now on, in order. A listener that throws is dropped. Answers the function that ends it. */
  onEvent(listener: (event: EventEnvelope) => void): () => void;
  /** Ends attached machines, leaves detached ones running, closes the store. May be called again. */
  close(): Promise<void>;
}
