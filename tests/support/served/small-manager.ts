// SPDX-License-Identifier: Apache-2.0
/** A manager without machines: real events, two calls, every input and output checked by the contract. */
import { CallError } from '../../../src-shared/call-error.ts';
import { calls, isCallName, type EventData, type EventName } from '../../../src-shared/contract.ts';
import { EventLog } from '../../../src-main/manager/event-log.ts';
import type { Manager } from '../../../src-main/manager/manager.ts';

export interface SmallManager extends Manager {
  emit<Name extends EventName>(name: Name, data: EventData<Name>): void;
  /** Names of the calls that reached it. */
  readonly called: readonly string[];
}

export function smallManager(): SmallManager {
  const log = new EventLog();
  const called: string[] = [];
  return {
    called,
    get epoch() {
      return log.epoch;
    },
    get seq() {
      return log.seq;
    },
    call: async (name, input) => {
      called.push(name);
      if (!isCallName(name)) throw new CallError('invalid', 'There is no such call.');
      const checked = calls[name].input.safeParse(input);
      if (!checked.success) throw new CallError('invalid', 'The input does not fit.');
      if (name === 'machines.list') return calls[name].output.parse({ machines: [] });
      if (name === 'machines.start') throw new CallError('not-found', 'There is no such machine.');
      throw new CallError('refused', 'This manager has no machines.');
    },
    replay: (seq) => log.replay(seq),
    onEvent: (listener) => log.onEvent(listener),
    close: () => Promise.resolve(),
    emit: (name, data) => log.emit(name, data),
  };
}
