// SPDX-License-Identifier: Apache-2.0
/** What must be right before a guest is saved to a file. Pure. */
import type { PreflightItem } from '../../src-shared/contract.ts';
import { formatBytes } from '../../src-shared/sizes.ts';
import type { FileFacts } from './migrations/file-facts.ts';

type Item = (severity: PreflightItem['severity'], id: string, title: string, detail: string) => PreflightItem;
const item: Item = (severity, id, title, detail) => ({ id, group: 'disk', severity, title, detail });

/** `name` and `memoryBytes` of the machine. */
export function fileItems(facts: FileFacts, name: string, memoryBytes: number): PreflightItem[] {
  const problem = blocker(facts);
  if (problem !== undefined) return [problem];
  const { path, there } = facts;
  return [
    item(
      'passed',
      'file',
      `${name} is saved to ${path}.`,
      'Only this user can read it. It stays when the machine goes on.',
    ),
    item('note', 'file-stops', `${name} stops when it is saved.`, 'It is started again from the file under Machines.'),
    ...(there === 'file'
      ? [item('risk', 'file-replaced', `${path} exists and is replaced.`, 'What is in it now is lost.')]
      : []),
    roomItem(facts, name, memoryBytes),
  ];
}

function blocker({ path, isAbsolute, folder, folderState, there }: FileFacts): PreflightItem | undefined {
  const problem = (title: string, remedy: string): PreflightItem => item('blocker', 'file', title, remedy);
  if (!isAbsolute) return problem(`${path} is no whole path.`, 'Begin with /, for example /home/me/vm.state.');
  if (folderState === 'missing') return problem(`There is no folder ${folder}.`, 'Make it, or choose another one.');
  if (there === 'other') return problem(`${path} is not a file.`, 'Name a file in it, or another one.');
  if (there === 'not-writable') return problem(`${path} cannot be written.`, 'Choose another file.');
  if (there === 'nothing' && folderState === 'not-writable') {
    return problem(`Nothing can be made in ${folder}.`, 'Choose a folder that is yours.');
  }
  return undefined;
}

/** Zero pages take next to nothing, so less room may do: a full disk gives the guest back. */
function roomItem({ freeBytes }: FileFacts, name: string, memoryBytes: number): PreflightItem {
  if (freeBytes === undefined)
    return item(
      'note',
      'file-room',
      'How much room is free is not known.',
      `Up to ${formatBytes(memoryBytes)} are needed.`,
    );
  const figures = `Up to ${formatBytes(memoryBytes)} are needed; ${formatBytes(freeBytes)} are free.`;
  return freeBytes < memoryBytes
    ? item('risk', 'file-room', 'The disk may fill up.', `${figures} If it does, ${name} goes on here.`)
    : item('passed', 'file-room', 'There is room for it.', figures);
}
