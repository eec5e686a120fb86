// SPDX-License-Identifier: Apache-2.0
/** The contract over what a desktop shell put into the window. */
import { z } from 'zod';
import { CallError } from '../src-shared/call-error.ts';
import {
  callError,
  calls,
  events,
  isEventName,
  type CallInput,
  type CallName,
  type CallOutput,
  type EventEnvelope,
  type GodwitApi,
} from '../src-shared/contract.ts';
import {
  desktopCalls,
  type Answer,
  type DesktopBridge,
  type DesktopCallInput,
  type DesktopCallName,
  type DesktopCallOutput,
  type FeedMessage,
} from '../src-shared/desktop-bridge.ts';

declare global {
  interface Window {
    /** Put there by a desktop shell's preload. */
    readonly godwit?: DesktopBridge;
  }
}

const envelope = z.object({ epoch: z.string(), seq: z.int().positive(), name: z.string(), data: z.unknown() });
const failure = z.object({ error: callError });
const success = z.object({ output: z.unknown() });

export class DesktopHost implements GodwitApi {
  readonly #bridge: DesktopBridge;
  readonly #listeners = new Set<{ readonly onEvent: (event: EventEnvelope) => void; readonly onGap: () => void }>();

  /** `show`: called when a menu, a notification or a link asks for a screen. */
  constructor(bridge: DesktopBridge, show: (route: string) => void) {
    this.#bridge = bridge;
    // Messages may come before anybody listens: who comes later asks for all anyway.
    bridge.follow((message) => this.#take(message, show));
  }

  async call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>> {
    return calls[name].output.parse(outputOf(await this.#bridge.call(name, plain(input)))) as CallOutput<Name>;
  }

  /** What only a desktop has. */
  async desktop<Name extends DesktopCallName>(
    name: Name,
    input: DesktopCallInput<Name>,
  ): Promise<DesktopCallOutput<Name>> {
    const output = outputOf(await this.#bridge.desktop(name, plain(input)));
    return desktopCalls[name].output.parse(output) as DesktopCallOutput<Name>;
  }

  subscribe(onEvent: (event: EventEnvelope) => void, onGap: () => void): () => void {
    const listener = { onEvent, onGap };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #take(message: FeedMessage, show: (route: string) => void): void {
    switch (message.kind) {
      case 'show':
        show(message.route);
        break;
      case 'gap':
        this.#missed();
        break;
      case 'event':
        this.#event(message.event);
        break;
    }
  }

  #event(told: unknown): void {
    const { epoch, seq, name, data } = envelope.parse(told);
    if (!isEventName(name)) return;
    const checked = events[name].safeParse(data);
    if (!checked.success) return this.#missed();
    const event = { epoch, seq, name, data: checked.data } as EventEnvelope;
    for (const { onEvent } of this.#listeners) onEvent(event);
  }

  #missed(): void {
    for (const { onGap } of this.#listeners) onGap();
  }
}

/** Vue's reactive objects are proxies, which cannot be cloned to another process. */
function plain(input: unknown): unknown {
  return JSON.parse(JSON.stringify(input)) as unknown;
}

function outputOf(answer: Answer): unknown {
  const failed = failure.safeParse(answer);
  if (failed.success) throw new CallError(failed.data.error.code, failed.data.error.message);
  return success.parse(answer).output;
}
