// SPDX-License-Identifier: Apache-2.0
/** Events that wait for a slow client, in order. Of pictures that the next one replaces only the latest is kept. */
import type { EventEnvelope } from '../../../src-shared/contract.ts';

export class Backlog {
  readonly #waiting = new Map<string, string>();
  #bytes = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Of the texts, in UTF-16 units: what JSON of ours is made of is nearly all ASCII. */
  get bytes(): number {
    return this.#bytes;
  }

  add(event: EventEnvelope): void {
    const key = keyOf(event);
    const text = JSON.stringify(event);
    this.#bytes += text.length - (this.#waiting.get(key)?.length ?? 0);
    // Deleted first: a map keeps the place of a key that it has, and the newer picture belongs to the end. So sequence
    // numbers only ever grow, and the last one that a client saw says what it missed.
    this.#waiting.delete(key);
    this.#waiting.set(key, text);
  }

  /** Takes the oldest; undefined when nothing waits. */
  shift(): string | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [key, text] = first;
    this.#waiting.delete(key);
    this.#bytes -= text.length;
    return text;
  }

  clear(): void {
    this.#waiting.clear();
    this.#bytes = 0;
  }
}

function keyOf(event: EventEnvelope): string {
  if (event.name === 'run.sample') return `sample ${event.data.runId}`;
  return event.name === 'run.changed' ? `run ${event.data.id}` : String(event.seq);
}
