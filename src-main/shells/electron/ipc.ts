// SPDX-License-Identifier: Apache-2.0
/** The page's channels: who may use them, and what may come over them. */
import { ipcMain, type IpcMainEvent, type IpcMainInvokeEvent } from 'electron';
import { CallError } from '../../../src-shared/call-error.ts';
import {
  channels,
  desktopCalls,
  type Answer,
  type DesktopCallInput,
  type DesktopCallName,
  type DesktopCallOutput,
} from '../../../src-shared/desktop-bridge.ts';
import type { Manager } from '../../manager/manager.ts';
import { answerCall } from '../served/calls.ts';
import type { MainWindow } from './main-window.ts';
import { refusedInput } from './plain-input.ts';
import { isOurPage } from './sender-guard.ts';

export type DesktopHandlers = {
  readonly [Name in DesktopCallName]: (input: DesktopCallInput<Name>) => Promise<DesktopCallOutput<Name>>;
};

export interface IpcOptions {
  readonly manager: Promise<Manager>;
  readonly window: MainWindow;
  readonly desktop: DesktopHandlers;
}

const LONGEST_NAME = 100;

/** Registers the handlers; for the life of the app. */
export function serveIpc({ manager, window, desktop }: IpcOptions): void {
  ipcMain.handle(channels.call, (event, name: unknown, input: unknown, ...more: unknown[]) =>
    checked(event, window, name, [input, ...more], async (known) => (await answerCall(manager, known, { input })).body),
  );
  ipcMain.handle(channels.desktop, (event, name: unknown, input: unknown, ...more: unknown[]) =>
    checked(event, window, name, [input, ...more], (known) => desktopCall(desktop, known, input)),
  );
  ipcMain.on(channels.follow, (event) => {
    if (isFromPage(event, window)) window.followed();
  });
  ipcMain.on(channels.taken, (event, count: unknown) => {
    if (isFromPage(event, window) && typeof count === 'number') window.feed.taken(count);
  });
}

const isFromPage = (event: IpcMainEvent | IpcMainInvokeEvent, window: MainWindow): boolean =>
  isOurPage(event, (contents) => window.isContents(contents));

async function checked(
  event: IpcMainInvokeEvent,
  window: MainWindow,
  name: unknown,
  inputs: readonly unknown[],
  perform: (name: string) => Promise<Answer>,
): Promise<Answer> {
  if (!isFromPage(event, window)) return refusal('This does not come from a page of Godwit.');
  if (typeof name !== 'string' || name.length > LONGEST_NAME) return refusal('There is no such call.');
  if (inputs.length !== 1) return refusal('A call has one input.');
  const refused = refusedInput(inputs[0]);
  return refused === null ? await perform(name) : refusal(refused);
}

const refusal = (message: string): Answer => ({ error: { code: 'invalid', message } });

async function desktopCall(handlers: DesktopHandlers, name: string, input: unknown): Promise<Answer> {
  if (!isDesktopCall(name)) return refusal('There is no such call.');
  const parsed = desktopCalls[name].input.safeParse(input);
  if (!parsed.success) return refusal('The input does not fit.');
  try {
    const handler = handlers[name] as (input: unknown) => Promise<unknown>;
    return { output: desktopCalls[name].output.parse(await handler(parsed.data)) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { error: error instanceof CallError ? error.toData() : { code: 'failed', message } };
  }
}

const isDesktopCall = (name: string): name is DesktopCallName => Object.hasOwn(desktopCalls, name);
