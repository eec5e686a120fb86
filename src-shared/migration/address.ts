// SPDX-License-Identifier: Apache-2.0
/** Where a migration stream goes or comes from: the URI grammar and the channel list of `migrate`, with QEMU's sentences. */

/** As QEMU names them. `port` is text: a number or the name of a service. */
export type InetAddress = {
  readonly transport: 'socket';
  readonly type: 'inet';
  /** Empty: any local address. Never in brackets. */
  readonly host: string;
  readonly port: string;
  /** A listener tries the ports up to this one. */
  readonly to?: number;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly 'keep-alive'?: boolean;
  readonly mptcp?: boolean;
};
export type UnixAddress = {
  readonly transport: 'socket';
  readonly type: 'unix';
  readonly path: string;
  readonly abstract?: boolean;
  readonly tight?: boolean;
};
export type VsockAddress = {
  readonly transport: 'socket';
  readonly type: 'vsock';
  readonly cid: string;
  readonly port: string;
};
export type FdAddress = { readonly transport: 'socket'; readonly type: 'fd'; readonly str: string };
export type ExecAddress = { readonly transport: 'exec'; readonly args: readonly string[] };
export type RdmaAddress = { readonly transport: 'rdma'; readonly host: string; readonly port: string };
/** `offset`: bytes from the start of the file, which stay untouched. */
export type FileAddress = { readonly transport: 'file'; readonly filename: string; readonly offset: number | bigint };

export type MigrationAddress =
  InetAddress | UnixAddress | VsockAddress | FdAddress | ExecAddress | RdmaAddress | FileAddress;

/** One element of `channels`. */
export type MigrationChannel = { readonly 'channel-type': 'main' | 'cpr'; readonly addr: MigrationAddress };

/** `cprChannel`: the list has an entry for the channel of cpr-transfer, too. */
export type AddressOutcome =
  | { readonly ok: true; readonly address: MigrationAddress; readonly cprChannel?: true }
  | { readonly ok: false; readonly sentence: string };

/** Longest path of a unix socket in bytes: sun_path holds 108 with the final zero. */
export const UNIX_PATH_MAX_BYTES = 107;

const refuse = (sentence: string): AddressOutcome => ({ ok: false, sentence });
const accept = (address: MigrationAddress): AddressOutcome => ({ ok: true, address });

/** Each takes what follows the prefix. Prefixes are case-sensitive. */
const GRAMMARS: readonly { readonly prefix: string; readonly parse: (rest: string) => AddressOutcome }[] = [
  { prefix: 'exec:', parse: (command) => accept({ transport: 'exec', args: ['/bin/sh', '-c', command] }) },
  { prefix: 'rdma:', parse: parseRdma },
  { prefix: 'tcp:', parse: parseInet },
  { prefix: 'unix:', parse: parseUnix },
  { prefix: 'vsock:', parse: parseVsock },
  { prefix: 'fd:', parse: parseFd },
  { prefix: 'file:', parse: parseFile },
];

/** Reads a migration URI, or gives the sentence that refuses it. */
export function parseMigrationUri(uri: string): AddressOutcome {
  const grammar = GRAMMARS.find(({ prefix }) => uri.startsWith(prefix));
  return grammar === undefined
    ? refuse(`unknown migration protocol: ${uri}`)
    : grammar.parse(uri.slice(grammar.prefix.length));
}

/** `HOST:PORT` or `[IPv6]:PORT`, up to 64 and 32 characters, as far as the first comma after the port. */
const IPV6_WITH_PORT = /^\[([^\]]{1,64})\]:([^,]{1,32})(?=,|$)/u;
const HOST_WITH_PORT = /^([^:]{0,64}):([^,]{1,32})(?=,|$)/u;

function parseInet(rest: string): AddressOutcome {
  const bracketed = rest.startsWith('[');
  const match = (bracketed ? IPV6_WITH_PORT : HOST_WITH_PORT).exec(rest);
  if (match === null) return refuse(`error parsing ${bracketed ? 'IPv6 ' : ''}address '${rest}'`);
  const [whole, host = '', port = ''] = match;
  const options = rest.slice(whole.length).split(',').slice(1);
  const address: { -readonly [K in keyof InetAddress]: InetAddress[K] } = {
    transport: 'socket',
    type: 'inet',
    host,
    port,
  };
  for (const option of options) {
    const sentence = applyInetOption(address, option);
    if (sentence !== undefined) return refuse(sentence);
  }
  return address.ipv4 === false && address.ipv6 === false
    ? refuse('Cannot disable IPv4 and IPv6 at same time')
    : accept(address);
}

const FLAGS = ['ipv4', 'ipv6', 'keep-alive', 'mptcp'] as const;

/** Options that are not known are ignored, as in QEMU. Gives the sentence that refuses a known one with a bad value. */
function applyInetOption(
  address: { -readonly [K in keyof InetAddress]: InetAddress[K] },
  option: string,
): string | undefined {
  const { name = '', value } = /^(?<name>[^=]*)(?<value>=.*)?$/su.exec(option)?.groups ?? {};
  if (name === 'to') {
    if (value === undefined || !/^=\d{1,5}$/u.test(value) || Number(value.slice(1)) > 65_535) {
      return 'error parsing to= argument';
    }
    address.to = Number(value.slice(1));
    return undefined;
  }
  const flag = FLAGS.find((known) => known === name);
  if (flag === undefined) return undefined;
  if (value !== undefined && value !== '=on' && value !== '=off') return `error parsing '${flag}' flag '${value}'`;
  address[flag] = value !== '=off';
  return undefined;
}

/**
 * The port of an address as a number, or the sentence that refuses it: services have numbers only here, and a number
 * beyond 65535 is refused, where QEMU takes it modulo 65536.
 */
export function portNumber(address: InetAddress): { ok: true; port: number } | { ok: false; sentence: string } {
  const port = /^\d{1,5}$/u.test(address.port) ? Number(address.port) : Number.NaN;
  if (port <= 65_535) return { ok: true, port };
  const where = `${address.host}:${address.port}`;
  return {
    ok: false,
    sentence: `address resolution failed for ${where}: Servname not supported for ai_socktype`,
  };
}

function parseUnix(path: string): AddressOutcome {
  if (path === '') return refuse('invalid Unix socket address');
  if (utf8Length(path) > UNIX_PATH_MAX_BYTES) return refuse(`UNIX socket path '${path}' is too long`);
  return accept({ transport: 'socket', type: 'unix', path });
}

function parseVsock(rest: string): AddressOutcome {
  const match = /^([^:]{1,32}):([^,]{1,32})$/u.exec(rest);
  if (match === null) return refuse(`error parsing address '${rest}'`);
  const [, cid = '', port = ''] = match;
  if (!isUint32(cid)) return refuse(`Failed to parse cid '${cid}'`);
  if (!isUint32(port)) return refuse(`Failed to parse port '${port}'`);
  return accept({ transport: 'socket', type: 'vsock', cid, port });
}

function parseFd(str: string): AddressOutcome {
  return str === '' ? refuse('invalid file descriptor address') : accept({ transport: 'socket', type: 'fd', str });
}

function parseRdma(rest: string): AddressOutcome {
  const parsed = parseInet(rest);
  if (!parsed.ok || !('host' in parsed.address)) return refuse(`RDMA ERROR: bad RDMA migration address '${rest}'`);
  return accept({ transport: 'rdma', host: parsed.address.host, port: parsed.address.port });
}

const OFFSET_OPTION = ',offset=';
const SUFFIX_BITS: Readonly<Record<string, bigint>> = { '': 0n, b: 0n, k: 10n, m: 20n, g: 30n, t: 40n, p: 50n, e: 60n };

/** `PATH[,offset=N]`: N decimal, hexadecimal, or decimal with a binary suffix. */
function parseFile(rest: string): AddressOutcome {
  const at = rest.indexOf(OFFSET_OPTION);
  const filename = at < 0 ? rest : rest.slice(0, at);
  if (filename === '') return refuse("Could not open '': No such file or directory");
  if (at < 0) return accept({ transport: 'file', filename, offset: 0 });
  const text = rest.slice(at + OFFSET_OPTION.length);
  const bytes = parseSize(text);
  if (bytes === undefined) return refuse(`file URI has bad offset ${text}: Invalid argument`);
  if (bytes < 0n || bytes >= 1n << 63n) {
    return refuse(`file URI has bad offset ${text}: Numerical result out of range`);
  }
  return accept({ transport: 'file', filename, offset: bytes <= Number.MAX_SAFE_INTEGER ? Number(bytes) : bytes });
}

function parseSize(text: string): bigint | undefined {
  if (/^0x[0-9a-f]{1,64}$/iu.test(text)) return BigInt(text);
  const match = /^(-?)(\d{1,64})([bkmgtpe]?)$/iu.exec(text);
  if (match === null) return undefined;
  const [, sign = '', digits = '', suffix = ''] = match;
  const bytes = BigInt(digits) << (SUFFIX_BITS[suffix.toLowerCase()] ?? 0n);
  return sign === '' ? bytes : -bytes;
}

export const NEED_ADDRESS = "need either 'uri' or 'channels' argument";

/**
 * The address of `migrate` and `migrate-incoming`, from exactly one of `uri` and `channels`. A list holds one entry for
 * the main channel, and may hold one for that of cpr-transfer.
 */
export function addressOf(request: {
  readonly uri?: string | undefined;
  readonly channels?: readonly MigrationChannel[] | undefined;
}): AddressOutcome {
  const { uri, channels } = request;
  if ((uri === undefined) === (channels === undefined)) return refuse(NEED_ADDRESS);
  if (uri !== undefined) return parseMigrationUri(uri);
  if (channels === undefined || channels.length === 0) return refuse(NEED_ADDRESS);
  const [main, second] = channels.filter((channel) => channel['channel-type'] === 'main');
  if (main === undefined) return refuse('Channel list has no main entry');
  if (second !== undefined) return refuse('Channel list has more than one entries');
  const outcome = checkAddress(main.addr);
  return outcome.ok && channels.length > 1 ? { ...outcome, cprChannel: true } : outcome;
}

/** What a URI could not have expressed is refused here with the same sentences. */
function checkAddress(address: MigrationAddress): AddressOutcome {
  if (address.transport === 'exec' && address.args.length === 0) return refuse('exec needs at least one argument');
  if (address.transport === 'file' && address.filename === '') return parseFile('');
  if (address.transport === 'socket' && address.type === 'unix') {
    const checked = parseUnix(address.path);
    return checked.ok ? accept(address) : checked;
  }
  return accept(address);
}

/** The one transport that Godwit knows by name only: it needs hardware and libraries that a home does not have. */
export const NO_RDMA = 'Migration over rdma is not supported by Godwit: use tcp';

/** Whether the text is a decimal number of 32 bits: a vsock's context id or port. */
export function isUint32(text: string): boolean {
  return /^\d{1,10}$/u.test(text) && Number(text) <= 0xffff_ffff;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
