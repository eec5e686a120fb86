// SPDX-License-Identifier: Apache-2.0
/** What the commands of the main stream say. */
import * as wire from '../engine/stream/wire.ts';
import type { CommandDetails } from './report.ts';

/** The detail of a command, or what is wrong with its payload as the end of a sentence. */
type Decode = (payload: Buffer) => CommandDetails | string;

interface CommandKind {
  readonly name: string;
  readonly decode: Decode;
}

const RANGE_BYTES = 16;

/** A command of fixed length. */
function fixed(length: number, decode: (payload: Buffer) => CommandDetails = () => ({})): Decode {
  return (payload) =>
    payload.length === length ? decode(payload) : `has a payload of ${payload.length} bytes instead of ${length}`;
}

const COMMANDS: ReadonlyMap<number, CommandKind> = new Map([
  [wire.COMMAND_OPEN_RETURN_PATH, { name: 'OPEN_RETURN_PATH', decode: fixed(0) }],
  [wire.COMMAND_PING, { name: 'PING', decode: fixed(4, (payload) => ({ value: payload.readUInt32BE(0) })) }],
  [wire.COMMAND_POSTCOPY_ADVISE, { name: 'POSTCOPY_ADVISE', decode: decodeAdvise }],
  [wire.COMMAND_POSTCOPY_LISTEN, { name: 'POSTCOPY_LISTEN', decode: fixed(0) }],
  [wire.COMMAND_POSTCOPY_RUN, { name: 'POSTCOPY_RUN', decode: fixed(0) }],
  [wire.COMMAND_POSTCOPY_RAM_DISCARD, { name: 'POSTCOPY_RAM_DISCARD', decode: decodeDiscard }],
  [wire.COMMAND_PACKAGED, { name: 'PACKAGED', decode: fixed(4, (bytes) => ({ packageBytes: bytes.readUInt32BE(0) })) }],
  [wire.COMMAND_ENABLE_COLO, { name: 'ENABLE_COLO', decode: fixed(0) }],
  [wire.COMMAND_POSTCOPY_RESUME, { name: 'POSTCOPY_RESUME', decode: fixed(0) }],
  [wire.COMMAND_RECV_BITMAP, { name: 'RECV_BITMAP', decode: decodeBlockName }],
  [wire.COMMAND_SWITCHOVER_START, { name: 'SWITCHOVER_START', decode: fixed(0) }],
  [wire.COMMAND_GODWIT_GO, { name: 'GODWIT_GO', decode: fixed(0) }],
  [wire.COMMAND_GODWIT_ABANDON, { name: 'GODWIT_ABANDON', decode: fixed(0) }],
]);

/** Names a command and decodes its payload. `problem` is the end of a sentence. A command may be unknown: no name. */
export function decodeCommand(
  number: number,
  payload: Uint8Array,
): { readonly name?: string; readonly details: CommandDetails; readonly problem?: string } {
  const kind = COMMANDS.get(number);
  if (kind === undefined) return { details: {} };
  const details = kind.decode(Buffer.from(payload));
  return typeof details === 'string'
    ? { name: kind.name, details: {}, problem: details }
    : { name: kind.name, details };
}

export function isCommand(number: number): boolean {
  return COMMANDS.has(number);
}

/** Without a payload only dirty bitmaps are moved in postcopy. */
function decodeAdvise(payload: Buffer): CommandDetails | string {
  if (payload.length === 0) return {};
  if (payload.length !== 16) return `has a payload of ${payload.length} bytes instead of 0 or 16`;
  return { pageSizes: Number(payload.readBigUInt64BE(0)), targetPageSize: Number(payload.readBigUInt64BE(8)) };
}

/** `u8 0, counted block name, u8 0`, then pairs of start and length. */
function decodeDiscard(payload: Buffer): CommandDetails | string {
  const nameLength = payload[1] ?? 0;
  const rangesAt = 2 + nameLength + 1;
  const ranges = (payload.length - rangesAt) / RANGE_BYTES;
  if (payload[0] !== 0 || payload[rangesAt - 1] !== 0 || !Number.isInteger(ranges) || ranges < 1) {
    return `has a payload of ${payload.length} bytes that is not a list of ranges`;
  }
  return {
    block: payload.toString('utf8', 2, 2 + nameLength),
    ranges: Array.from({ length: ranges }, (_, index) => {
      const at = rangesAt + index * RANGE_BYTES;
      return { start: Number(payload.readBigUInt64BE(at)), length: Number(payload.readBigUInt64BE(at + 8)) };
    }),
  };
}

function decodeBlockName(payload: Buffer): CommandDetails | string {
  if (payload.length === 0 || payload.length !== 1 + (payload[0] ?? 0)) {
    return `has a payload of ${payload.length} bytes that is not a block's name`;
  }
  return { block: payload.toString('utf8', 1) };
}
