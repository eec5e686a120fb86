// SPDX-License-Identifier: Apache-2.0
/** A machine's process with the manager's connection to it: what it last said of itself, kept fresh. */
import { plainText } from '../../../src-shared/plain-text.ts';
import type { MachineSettings } from '../../../src-shared/machine-view.ts';
import { isRunState, type RunState } from '../../../src-shared/migration/status.ts';
import { spawnMachine, type MachineProcess, type MachineSpawnOptions } from './builtin.ts';
import { MachineLink, type MachineEvent } from './link.ts';

/** How often a machine is asked whether it is still there. Its events tell the rest. */
const CONTACT_EVERY_MS = 1000;
/** No answer for so long: no contact. */
const SILENT_AFTER_MS = 5000;

export type StartProcess = (options: MachineSpawnOptions) => MachineProcess;

export interface LiveMachineHooks {
  /** Something of what it says of itself has changed. */
  readonly onChange: () => void;
  readonly onEvent: (event: MachineEvent) => void;
}

export class LiveMachine {
  readonly process: MachineProcess;
  readonly #hooks: LiveMachineHooks;
  #link: MachineLink | undefined;
  #runState: RunState | null = null;
  #blockedReasons: readonly string[] = [];
  #contactAt: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #ended = false;

  private constructor(process: MachineProcess, hooks: LiveMachineHooks) {
    this.process = process;
    this.#hooks = hooks;
    void process.exited.then(() => (this.#ended = true));
  }

  /** Rejects with the machine's last words when it does not come up; nothing is left then. */
  static async start(
    options: MachineSpawnOptions,
    hooks: LiveMachineHooks,
    startProcess: StartProcess = spawnMachine,
  ): Promise<LiveMachine> {
    const process = startProcess(options);
    try {
      return await LiveMachine.attach(process, hooks);
    } catch (error) {
      await process.dispose(); // it never had a guest that anyone knew of
      throw error;
    }
  }

  /** Connects to a process that is there or is coming up. One that does not answer is left as it is: it may have a guest. */
  static async attach(process: MachineProcess, hooks: LiveMachineHooks): Promise<LiveMachine> {
    const machine = new LiveMachine(process, hooks);
    try {
      await process.ready;
      machine.#link = await MachineLink.connect(process.qmpPath, AbortSignal.timeout(SILENT_AFTER_MS));
      await machine.link.setCapabilities(['events', 'return-path']).catch(() => undefined); // refused while it migrates
      machine.link.onEvent((event) => {
        hooks.onEvent(event);
        void machine.look();
      });
      await machine.look();
      machine.#timer = setInterval(() => void machine.look(), CONTACT_EVERY_MS);
      return machine;
    } catch (error) {
      machine.release();
      throw error;
    }
  }

  get link(): MachineLink {
    if (this.#link === undefined) throw new Error('the machine is used before it was connected');
    return this.#link;
  }

  get runState(): RunState | null {
    return this.#runState;
  }

  get blockedReasons(): readonly string[] {
    return this.#blockedReasons;
  }

  /** Milliseconds since it last answered; null when it never did. */
  get contactAgeMs(): number | null {
    return this.#contactAt === null ? null : performance.now() - this.#contactAt;
  }

  /** Its process is known to have ended. */
  get ended(): boolean {
    return this.#ended;
  }

  get silent(): boolean {
    return (this.contactAgeMs ?? 0) > SILENT_AFTER_MS;
  }

  /** Asks what it is doing now. Never rejects: no answer shows in contactAgeMs. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const runState = await this.link.runState();
      const { info } = await this.link.migration();
      this.#contactAt = performance.now();
      const reasons = (info['blocked-reasons'] ?? []).map((reason) => plainText(reason));
      const changed = runState !== this.#runState || reasons.join('\n') !== this.#blockedReasons.join('\n');
      this.#runState = isRunState(runState) ? runState : null;
      this.#blockedReasons = reasons;
      if (changed) this.#hooks.onChange();
    } catch {
      if (this.silent) this.#hooks.onChange();
    } finally {
      this.#looking = false;
    }
  }

  /** Lets go of it without ending it. */
  release(): void {
    clearInterval(this.#timer);
    this.#link?.close();
  }

  /** Ends the process and removes its folder. */
  async dispose(): Promise<void> {
    this.release();
    await this.process.dispose();
  }
}

/** How a machine of these settings is started. */
export function spawnOptions(settings: MachineSettings, incoming: boolean): MachineSpawnOptions {
  const { name, memoryBytes, cpus, cpuModel, workingSetBytes, dirtyRate } = settings;
  return {
    name,
    machine: 'microvm',
    memoryBytes,
    cpus,
    cpu: cpuModel,
    ...(incoming ? { incoming: 'defer' } : { guest: { dirtyRate, workingSetBytes } }),
  };
}
