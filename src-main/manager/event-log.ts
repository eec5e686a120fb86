// SPDX-License-Identifier: Apache-2.0
/** The manager's events in order, the newest of them held for whoever reconnects. */
import { randomUUID } from 'node:crypto';
import { events, type EventData, type EventEnvelope, type EventName } from '../../src-shared/contract.ts';

/** Some minutes of a busy manager: at 10 Hz two events for each sample. */
const HELD = 5000;

export class EventLog {
  readonly epoch = randomUUID();
  readonly #held: EventEnvelope[] = [];
  readonly #listeners = new Set<(event: EventEnvelope) => void>();
  #seq = 0;

  get seq(): number {
    return this.#seq;
  }

  /** The data is checked: a screen is never sent what its contract does not know. */
  emit<Name extends EventName>(name: Name, data: EventData<Name>): void {
    this.#seq += 1;
    const checked = events[name].parse(data);
    const envelope = { epoch: this.epoch, seq: this.#seq, name, data: checked } as EventEnvelope;
    this.#held.push(envelope);
    if (this.#held.length > HELD) this.#held.shift();
    for (const listener of this.#listeners) {
      try {
        listener(envelope);
      } catch {
        this.#listeners.delete(listener); // a shell that cannot take an event asks anew
      }
    }
  }

  replay(seq: number): readonly EventEnvelope[] | null {
    if (!Number.isSafeInteger(seq) || seq < 0 || seq > this.#seq) return null;
    const oldest = this.#held[0]?.seq ?? this.#seq + 1;
    if (seq < oldest - 1) return null;
    return this.#held.slice(seq - oldest + 1);
  }

  onEvent(listener: (event: EventEnvelope) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
