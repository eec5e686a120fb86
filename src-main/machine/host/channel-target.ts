// SPDX-License-Identifier: Apache-2.0
import {
  addressOf,
  isUint32,
  NO_RDMA,
  portNumber,
  type FdAddress,
  type InetAddress,
  type MigrationAddress,
  type MigrationChannel,
  type UnixAddress,
  type VsockAddress,
} from '../../../src-shared/migration/address.ts';
import type { SocketAddress } from '../../../src-shared/migration/info.ts';
import type { SocketTarget } from '../native/index.ts';
import type { ChannelTarget, RangedSocketTarget } from '../engine/channels/target.ts';
import { MigrationError } from '../engine/errors.ts';
import type { DescriptorTable } from './descriptor-table.ts';
import { incomingDescriptor, outgoingDescriptor } from './descriptor-target.ts';
import { Refusal } from './refusal.ts';

/** What `migrate` or `migrate-incoming` asks for, or a {@link Refusal} with QEMU's sentence. */
export function requestedAddress(request: {
  readonly uri: string | undefined;
  readonly channels: readonly MigrationChannel[] | undefined;
}): { readonly address: MigrationAddress; readonly cprChannel: boolean } {
  const outcome = addressOf(request);
  if (!outcome.ok) throw new Refusal(outcome.sentence);
  return { address: outcome.address, cprChannel: outcome.cprChannel === true };
}

/**
 * Where a source's stream goes; a descriptor is taken out of the table. The name of a service is looked up by then only,
 * so that it fails as an attempt does.
 */
export function outgoingTarget(
  address: MigrationAddress,
  descriptors: DescriptorTable,
): ChannelTarget | MigrationError {
  if (isDescriptor(address)) return outgoingDescriptor(address.str, descriptors);
  const named = address.transport === 'socket' && address.type === 'inet' && !/^\d+$/.test(address.port);
  if (!named) return channelTarget(address);
  const port = portNumber(address);
  return port.ok ? channelTarget(address) : new MigrationError('link', port.sentence);
}

/** Where a destination's stream comes from; a descriptor is taken out of the table. */
export function incomingTarget(address: MigrationAddress, descriptors: DescriptorTable): ChannelTarget {
  return isDescriptor(address) ? incomingDescriptor(address.str, descriptors) : channelTarget(address);
}

function isDescriptor(address: MigrationAddress): address is FdAddress {
  return address.transport === 'socket' && address.type === 'fd';
}

/** What the channels understand. Anything else is refused by name. */
function channelTarget(address: Exclude<MigrationAddress, FdAddress>): ChannelTarget {
  switch (address.transport) {
    case 'exec':
      return { type: 'exec', args: address.args };
    case 'file': {
      if (address.offset > MAX_OFFSET)
        throw new Refusal(`An offset of ${address.offset} bytes is too large for a file`);
      return { type: 'file', path: address.filename, offset: Number(address.offset) };
    }
    case 'rdma':
      throw new Refusal(NO_RDMA);
    case 'socket':
      return socketTarget(address);
  }
}

/** What a number holds exactly; no file system has files of this size. */
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;

function socketTarget(address: InetAddress | UnixAddress | VsockAddress): RangedSocketTarget {
  switch (address.type) {
    case 'unix':
      return { type: 'unix', path: address.path };
    case 'inet': {
      const port = portNumber(address);
      if (!port.ok) throw new Refusal(port.sentence);
      return {
        type: 'tcp',
        host: address.host,
        port: port.port,
        ...(address.to !== undefined && { to: address.to }),
      };
    }
    case 'vsock':
      return { type: 'vsock', cid: vsockNumber('cid', address.cid), port: vsockNumber('port', address.port) };
  }
}

function vsockNumber(what: 'cid' | 'port', text: string): number {
  if (!isUint32(text)) throw new Refusal(`Failed to parse ${what} '${text}'`);
  return Number(text);
}

/** A listening address as `query-migrate` shows it. */
export function socketAddress(target: SocketTarget): SocketAddress {
  if (target.type === 'unix') return { type: 'unix', path: target.path };
  if (target.type === 'vsock') return { type: 'vsock', cid: String(target.cid), port: String(target.port) };
  const family = target.host.includes(':') ? { ipv6: true } : { ipv4: true };
  return { type: 'inet', host: target.host, port: String(target.port), ...family };
}
