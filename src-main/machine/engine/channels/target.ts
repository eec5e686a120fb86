// SPDX-License-Identifier: Apache-2.0
/** Where the main channel of a migration goes or comes from. */
import type { SocketTarget } from '../../native/index.ts';

/** `offset`: bytes from the beginning of the file, which stay untouched. */
export type FileTarget = { readonly type: 'file'; readonly path: string; readonly offset: number };
/** A program with its arguments: the stream is its standard input, or its standard output. */
export type ExecTarget = { readonly type: 'exec'; readonly args: readonly string[] };

/** `to`: a listener tries the ports up to this one. */
export type RangedSocketTarget = SocketTarget & { readonly to?: number };

export type ChannelTarget = RangedSocketTarget | FileTarget | ExecTarget;

/** Whether the stream goes one way only: no return path, and nobody at the other end while it is written. */
export function isOneWay(target: ChannelTarget): target is FileTarget | ExecTarget {
  return target.type === 'file' || target.type === 'exec';
}
