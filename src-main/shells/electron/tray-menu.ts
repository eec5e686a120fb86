// SPDX-License-Identifier: Apache-2.0
/** What the tray's menu says of the runs under way. */
import type { MenuItemConstructorOptions } from 'electron';
import type { RunView } from '../../../src-shared/run.ts';
import { routeOfRun } from './app-address.ts';

export interface TrayActions {
  readonly open: (route?: string) => void;
  readonly quit: () => void;
}

/** So many runs are named; more are counted. */
const MOST_NAMED = 8;
const LONGEST_LABEL = 80;

export function trayMenu(runs: readonly RunView[], { open, quit }: TrayActions): MenuItemConstructorOptions[] {
  const named = runs.slice(0, MOST_NAMED).map(({ id, machineName, phase }) => ({
    // An ampersand would make the next letter a mnemonic.
    label: clipped(`${machineName}: ${phase}`).replaceAll('&', '&&'),
    click: () => open(routeOfRun(id)),
  }));
  const more = runs.length - named.length;
  return [
    ...(named.length === 0 ? [{ label: 'No migration is under way', enabled: false }] : named),
    ...(more > 0 ? [{ label: `and ${String(more)} more`, click: () => open('/runs') }] : []),
    { type: 'separator' },
    { label: 'Open Godwit', click: () => open() },
    { label: 'Quit', click: () => quit() },
  ];
}

const clipped = (text: string): string => (text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text);
