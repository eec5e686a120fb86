// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  addressOf,
  parseMigrationUri,
  portNumber,
  type InetAddress,
  type MigrationAddress,
} from '../../../src-shared/migration/address.ts';

const inet = (host: string, port: string, more: Partial<InetAddress> = {}): MigrationAddress => ({
  transport: 'socket',
  type: 'inet',
  host,
  port,
  ...more,
});
const unix = (path: string): MigrationAddress => ({ transport: 'socket', type: 'unix', path });
const longPath = `/${'x'.repeat(106)}`;

describe('a migration URI', () => {
  it.each<[string, MigrationAddress]>([
    ['tcp:127.0.0.1:4444', inet('127.0.0.1', '4444')],
    ['tcp::0', inet('', '0')],
    ['tcp:host.example:http', inet('host.example', 'http')],
    ['tcp:[::1]:4444', inet('::1', '4444')],
    ['tcp:[fe80::1%eth0]:1', inet('fe80::1%eth0', '1')],
    ['tcp:a:b:c', inet('a', 'b:c')],
    ['tcp:h:1,to=9', inet('h', '1', { to: 9 })],
    ['tcp:h:1,ipv4,ipv6=off', inet('h', '1', { ipv4: true, ipv6: false })],
    ['tcp:h:1,keep-alive=on,mptcp', inet('h', '1', { 'keep-alive': true, mptcp: true })],
    ['tcp:h:1,bogus=1,', inet('h', '1')],
    ['unix:/run/x.sock', unix('/run/x.sock')],
    ['unix:relative,with=comma', unix('relative,with=comma')],
    [`unix:${longPath}`, unix(longPath)],
    ['vsock:5:1024', { transport: 'socket', type: 'vsock', cid: '5', port: '1024' }],
    ['fd:mig', { transport: 'socket', type: 'fd', str: 'mig' }],
    ['fd:7', { transport: 'socket', type: 'fd', str: '7' }],
    ['exec:gzip -c > x', { transport: 'exec', args: ['/bin/sh', '-c', 'gzip -c > x'] }],
    ['rdma:10.0.0.1:7777', { transport: 'rdma', host: '10.0.0.1', port: '7777' }],
    ['file:/x', { transport: 'file', filename: '/x', offset: 0 }],
    ['file:/x,offset=4096', { transport: 'file', filename: '/x', offset: 4096 }],
    ['file:/x,offset=0x1000', { transport: 'file', filename: '/x', offset: 4096 }],
    ['file:/x,offset=1k', { transport: 'file', filename: '/x', offset: 1024 }],
    ['file:/x,y,offset=2M', { transport: 'file', filename: '/x,y', offset: 2 ** 21 }],
    ['file:/x,offset=9007199254740993', { transport: 'file', filename: '/x', offset: 9007199254740993n }],
  ])('%s is understood', (uri, address) => {
    expect(parseMigrationUri(uri)).toEqual({ ok: true, address });
  });

  it.each([
    ['', 'unknown migration protocol: '],
    ['foo', 'unknown migration protocol: foo'],
    ['TCP:h:1', 'unknown migration protocol: TCP:h:1'],
    ['tcp:', "error parsing address ''"],
    ['tcp:127.0.0.1', "error parsing address '127.0.0.1'"],
    ['tcp:a:', "error parsing address 'a:'"],
    ['tcp:,', "error parsing address ','"],
    [`tcp:${'h'.repeat(70)}:1`, `error parsing address '${'h'.repeat(70)}:1'`],
    [`tcp:h:${'1'.repeat(33)}`, `error parsing address 'h:${'1'.repeat(33)}'`],
    ['tcp:[::1', "error parsing IPv6 address '[::1'"],
    ['tcp:[::1]', "error parsing IPv6 address '[::1]'"],
    ['tcp:[::1]:', "error parsing IPv6 address '[::1]:'"],
    ['tcp:[::1]x:5', "error parsing IPv6 address '[::1]x:5'"],
    ['tcp:h:0,to=x', 'error parsing to= argument'],
    ['tcp:h:0,to=', 'error parsing to= argument'],
    ['tcp:h:0,to=65536', 'error parsing to= argument'],
    ['tcp:h:0,ipv4=zz', "error parsing 'ipv4' flag '=zz'"],
    ['tcp:h:0,keep-alive=q', "error parsing 'keep-alive' flag '=q'"],
    ['tcp:h:0,mptcp=zz', "error parsing 'mptcp' flag '=zz'"],
    ['tcp:h:0,ipv4=off,ipv6=off', 'Cannot disable IPv4 and IPv6 at same time'],
    ['unix:', 'invalid Unix socket address'],
    [`unix:${longPath}x`, `UNIX socket path '${longPath}x' is too long`],
    [`unix:${'é'.repeat(54)}`, `UNIX socket path '${'é'.repeat(54)}' is too long`],
    ['vsock:', "error parsing address ''"],
    ['vsock:5', "error parsing address '5'"],
    ['vsock:x:5', "Failed to parse cid 'x'"],
    ['vsock:5:x', "Failed to parse port 'x'"],
    ['fd:', 'invalid file descriptor address'],
    ['rdma:', "RDMA ERROR: bad RDMA migration address ''"],
    ['rdma:1.2.3.4', "RDMA ERROR: bad RDMA migration address '1.2.3.4'"],
    ['file:', "Could not open '': No such file or directory"],
    ['file:/x,offset=zz', 'file URI has bad offset zz: Invalid argument'],
    ['file:/x,offset=', 'file URI has bad offset : Invalid argument'],
    ['file:/x,offset=-1', 'file URI has bad offset -1: Numerical result out of range'],
    ['file:/x,offset=16E', 'file URI has bad offset 16E: Numerical result out of range'],
  ])('%j is refused', (uri, sentence) => {
    expect(parseMigrationUri(uri)).toEqual({ ok: false, sentence });
  });
});

describe('a port', () => {
  const port = (text: string): unknown => portNumber({ transport: 'socket', type: 'inet', host: 'h', port: text });

  it.each([
    ['0', 0],
    ['65535', 65535],
  ])('%s is a number', (text, number) => {
    expect(port(text)).toEqual({ ok: true, port: number });
  });

  it.each(['x', 'http', '65536', '99999', '-1', '1e3', '', ' 1'])('%j is refused', (text) => {
    expect(port(text)).toEqual({
      ok: false,
      sentence: `address resolution failed for h:${text}: Servname not supported for ai_socktype`,
    });
  });
});

describe('the address of a request', () => {
  const addr = inet('h', '1');

  it('comes from the uri or from the one channel', () => {
    expect(addressOf({ uri: 'tcp:h:1' })).toEqual({ ok: true, address: addr });
    expect(addressOf({ channels: [{ 'channel-type': 'main', addr }] })).toEqual({ ok: true, address: addr });
  });

  it.each<[Parameters<typeof addressOf>[0], string]>([
    [{}, "need either 'uri' or 'channels' argument"],
    [{ uri: 'tcp:h:1', channels: [] }, "need either 'uri' or 'channels' argument"],
    [{ channels: [] }, "need either 'uri' or 'channels' argument"],
    [
      {
        channels: [
          { 'channel-type': 'main', addr },
          { 'channel-type': 'main', addr },
        ],
      },
      'Channel list has more than one entries',
    ],
    [{ channels: [{ 'channel-type': 'cpr', addr }] }, 'Channel list has no main entry'],
    [{ channels: [{ 'channel-type': 'main', addr: unix('') }] }, 'invalid Unix socket address'],
    [
      { channels: [{ 'channel-type': 'main', addr: { transport: 'exec', args: [] } }] },
      'exec needs at least one argument',
    ],
    [{ uri: 'nope' }, 'unknown migration protocol: nope'],
  ])('is refused for %j', (request, sentence) => {
    expect(addressOf(request)).toEqual({ ok: false, sentence });
  });
});
