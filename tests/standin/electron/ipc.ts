// SPDX-License-Identifier: Apache-2.0
/** ipcMain: what pages send and ask. */
import { codec } from '../page/codec.ts';
import type { FromPage } from '../page/messages.ts';
import { record } from '../record.ts';
import { strict, StrictEmitter } from '../strict.ts';
import { preventable } from './event.ts';
import type { WebContents } from './web-contents.ts';
import type { Conforms } from '../conforms.ts';

type Handler = (event: Electron.IpcMainInvokeEvent, ...args: unknown[]) => unknown;

/** A sender that no page is, to see that it is refused. */
export interface ForgedSender {
  readonly url?: string;
  readonly isMainFrame?: boolean;
  readonly webContentsId?: number;
}

class IpcMain extends StrictEmitter {
  readonly #handlers = new Map<string, Handler>();

  handle(channel: string, listener: Handler): void {
    if (this.#handlers.has(channel)) throw new Error(`Attempted to register a second handler for '${channel}'`);
    this.#handlers.set(channel, listener);
  }

  handleOnce(channel: string, listener: Handler): void {
    this.handle(channel, (event, ...args) => {
      this.removeHandler(channel);
      return listener(event, ...args);
    });
  }

  removeHandler(channel: string): void {
    this.#handlers.delete(channel);
  }

  /** What the handler answers, as the page gets it. */
  async invoked(channel: string, event: object, args: readonly unknown[]): Promise<unknown> {
    const handler = this.#handlers.get(channel);
    if (handler === undefined) throw new Error(`No handler registered for '${channel}'`);
    return await handler(event as Electron.IpcMainInvokeEvent, ...args);
  }
}

export const ipcMain = new IpcMain();
export type CheckedIpcMain = Conforms<Pick<Electron.IpcMain, 'handle' | 'handleOnce' | 'removeHandler'>, IpcMain>;

/** Deals with one message of a page. */
export function receiveFromPage(
  message: Extract<FromPage, { is: 'invoke' | 'send' }>,
  sender: WebContents,
  frameId: string,
): void {
  const event = eventOf(sender, frameId);
  if (message.is === 'send') ipcMain.emit(message.channel, event, ...message.args);
  else void invoked(message, sender, frameId, event);
}

async function invoked(
  { id, channel, args }: Extract<FromPage, { is: 'invoke' }>,
  sender: WebContents,
  frameId: string,
  event: object,
): Promise<void> {
  try {
    const value = await ipcMain.invoked(channel, event, args);
    // Before anything is said: a value that cannot be cloned is a failure of the handler.
    codec.encode(value);
    sender.deliver(frameId, { is: 'reply', id, ok: true, value });
  } catch (error) {
    process.stderr.write(`Error occurred in handler for '${channel}': ${String(error)}\n`);
    const value = `Error invoking remote method '${channel}': ${String(error)}`;
    sender.deliver(frameId, { is: 'reply', id, ok: false, value });
  }
}

function eventOf(sender: WebContents, frameId: string): object {
  const senderFrame = sender.frame(frameId);
  return strict('event', {
    ...preventable({}),
    type: 'frame',
    sender,
    senderFrame,
    frameId: senderFrame.routingId,
    processId: senderFrame.processId,
    ports: [],
    reply: (channel: string, ...args: unknown[]) => senderFrame.send(channel, ...args),
  });
}

function forgedEvent({ url = '', isMainFrame = true, webContentsId }: ForgedSender, contents: WebContents[]): object {
  const sender = contents.find(({ id }) => webContentsId === undefined || id === webContentsId);
  if (sender === undefined) throw new Error('There is no window to forge a message from.');
  const main = sender.mainFrame;
  const origin = URL.canParse(url) ? url.split('/').slice(0, 3).join('/') : 'null';
  const parent = isMainFrame ? null : main;
  const members = { url, origin, parent, routingId: -1, processId: main.processId, detached: false };
  const senderFrame: object = strict('senderFrame', { ...members, isDestroyed: () => false, send: () => undefined });
  Object.defineProperty(senderFrame, 'top', { value: isMainFrame ? senderFrame : main });
  return strict('event', {
    ...preventable({}),
    ...{ type: 'frame', sender, senderFrame, frameId: -1, processId: main.processId, ports: [] },
    reply: () => undefined,
  });
}

/** Gives tests a way to call handlers as a hostile page could. */
export function provideForgery(allContents: () => WebContents[]): void {
  const copy = (args: readonly unknown[]): unknown[] => codec.decode(codec.encode(args)) as unknown[];
  Object.assign(record.forge, {
    invoke: async (channel: string, args: readonly unknown[], sender: ForgedSender = {}) =>
      await ipcMain.invoked(channel, forgedEvent(sender, allContents()), copy(args)),
    send: (channel: string, args: readonly unknown[], sender: ForgedSender = {}) => {
      ipcMain.emit(channel, forgedEvent(sender, allContents()), ...copy(args));
    },
  });
}
