// SPDX-License-Identifier: Apache-2.0
import { describeExit, MachineError, spawnMachine } from '../machines/builtin.ts';
import type { MachineProcess, MachineSpawnOptions } from '../machines/builtin.ts';
import { MachineLink } from '../machines/link.ts';
import type { Side, SidedEvent } from './types.ts';

/** Two machine processes with a QMP connection to each. Owns both: dispose() removes everything, however far it got. */
export class MachinePair {
  readonly #machines: Partial<Record<Side, MachineProcess>> = {};
  readonly #links: Partial<Record<Side, MachineLink>> = {};
  /** Every event of both sides, in order of arrival. */
  readonly events: SidedEvent[] = [];

  /** Starts and connects both sides at once; the first failure is thrown when both attempts have ended. */
  async start(options: Readonly<Record<Side, MachineSpawnOptions>>, signal: AbortSignal): Promise<void> {
    const sides = ['source', 'destination'] as const;
    const attempts = await Promise.allSettled(sides.map((side) => this.#startSide(side, options[side], signal)));
    for (const attempt of attempts) if (attempt.status === 'rejected') throw attempt.reason;
  }

  async #startSide(side: Side, options: MachineSpawnOptions, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const machine = spawnMachine(options);
    this.#machines[side] = machine;
    const stop = (): void => void machine.kill('SIGTERM');
    signal.addEventListener('abort', stop, { once: true });
    await machine.ready.finally(() => {
      signal.removeEventListener('abort', stop);
    });
    const link = await MachineLink.connect(machine.qmpPath, signal);
    this.#links[side] = link;
    link.onEvent((event) => this.events.push({ side, ...event }));
  }

  machine(side: Side): MachineProcess {
    const machine = this.#machines[side];
    if (machine === undefined) throw new Error(`the ${side} is used before it was started`);
    return machine;
  }

  link(side: Side): MachineLink {
    const link = this.#links[side];
    if (link === undefined) throw new Error(`the ${side} is used before it was connected`);
    return link;
  }

  get pids(): Record<Side, number> {
    return { source: this.machine('source').pid, destination: this.machine('destination').pid };
  }

  /** The work, or a {@link MachineError} as soon as the machine that it depends on ends. */
  async whileAlive<T>(side: Side, work: Promise<T>): Promise<T> {
    const ended = this.machine(side).exited.then((exit): never => {
      throw new MachineError(`the ${side} ended: ${describeExit(exit)}`);
    });
    ended.catch(() => undefined); // both may reject after the race is decided
    work.catch(() => undefined);
    return Promise.race([work, ended]);
  }

  /** `query-migrate` with the run state; null when the machine cannot be asked any more. */
  async record(side: Side): Promise<Record<string, unknown> | null> {
    try {
      const [{ raw }, runstate] = await Promise.all([this.link(side).migration(), this.link(side).runState()]);
      return { ...raw, runstate };
    } catch {
      return null; // its process or its socket is gone: null says so in the result
    }
  }

  async dispose(): Promise<void> {
    for (const link of Object.values(this.#links)) link.close();
    await Promise.all(Object.values(this.#machines).map((machine) => machine.dispose()));
  }
}
