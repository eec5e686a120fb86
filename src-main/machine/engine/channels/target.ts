// SPDX-License-Identifier: Apache-2.0
/** Where the main channel of a migration goes or comes from. */
import type { SocketTarget } from '../../native/index.ts';

/** `offset`: bytes from the beginning of the file, which stay untouched. */
export type FileTarget = { readonly type: 'file'; readonly path: string; readonly offset: number };
/** A program with its arguments: the stream is its standard input, or its standard output. */
export type ExecTarget = { readonly type: 'exec'; readonly args: readonly string[] };

/** An open descriptor, which whoever opens the channel closes. `oneWay`: not a socket. */
export type FdTarget = {
  readonly type: 'fd';
  readonly name: string;
  readonly descriptor: number;
  readonly oneWay: boolean;
};

/** `to`: a listener tries the ports up to this one. */
export type RangedSocketTarget = SocketTarget & { readonly to?: number };

export type ChannelTarget = RangedSocketTarget | FileTarget | ExecTarget | FdTarget;

/** Whether the stream goes one way only: nobody can answer. */
export function isOneWay(target: ChannelTarget): boolean {
  return target.type === 'file' || target.type === 'exec' || (target.type === 'fd' && target.oneWay);
}
