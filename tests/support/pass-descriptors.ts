// SPDX-License-Identifier: Apache-2.0
/** Monitors that are passed descriptors, by a program of its own: Node's sockets cannot. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A socket pair, a pipe, a regular file, /dev/null. */
type DescriptorName = 'a' | 'b' | 'r' | 'w' | 'f' | 'null';

export interface PassingStep {
  /** Path of the monitor's socket; nobody else may be connected to it. */
  readonly monitor: string;
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** Descriptors that go with the command. */
  readonly pass?: readonly DescriptorName[];
}

export interface QmpReply {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
}

/** Runs the steps one after another, each monitor's in one session; answers their replies. */
export async function passDescriptors(steps: readonly PassingStep[]): Promise<QmpReply[]> {
  const run = promisify(execFile)('python3', [join(import.meta.dirname, 'pass-descriptors.py')], { timeout: 60_000 });
  run.child.stdin?.end(JSON.stringify(steps));
  const { stdout } = await run;
  return JSON.parse(stdout) as QmpReply[];
}

/** Gives the two machines the ends of a connection by the name `migration` and lets the destination wait on its own. */
export async function connectByDescriptor(
  ends: { readonly source: string; readonly destination: string },
  kind: 'socket' | 'pipe',
): Promise<void> {
  const [ours, theirs] = kind === 'socket' ? (['a', 'b'] as const) : (['w', 'r'] as const);
  const named = { fdname: 'migration' };
  const replies = await passDescriptors([
    { monitor: ends.source, execute: 'getfd', arguments: named, pass: [ours] },
    { monitor: ends.destination, execute: 'getfd', arguments: named, pass: [theirs] },
    { monitor: ends.destination, execute: 'migrate-incoming', arguments: { uri: 'fd:migration' } },
    { monitor: ends.source, execute: 'migrate', arguments: { uri: 'fd:migration' } },
  ]);
  const refused = replies.find(({ error }) => error !== undefined);
  if (refused !== undefined) throw new Error(`refused: ${refused.error?.desc ?? ''}`);
}
