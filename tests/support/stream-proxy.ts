// SPDX-License-Identifier: Apache-2.0
/**
 * Sits between the two ends of a migration on unix or tcp sockets: knows which element of the stream passes, counts
 * bytes, and can cut the link, stall it, or alter what passes. One proxy serves any number of connections in turn.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { ReturnPathParser } from './return-path-parser.ts';
import { MainStreamParser } from './stream-parser.ts';
import type { StreamUnit } from './stream-parser.ts';
import { UnitTransformer } from './stream-transform.ts';
import type { StreamTransform } from './stream-transform.ts';

/** `unix:PATH` or `tcp:HOST:PORT`. */
export type StreamUri = string;
/** `forward`: source to destination. */
export type Direction = 'forward' | 'backward';

export interface ProxyElement {
  /** `header`, `configuration`, `command:PING`, `ram:PART`, `section:cpu/0`, `eof`, `vmdesc`, `rp:LOADED`, … */
  readonly name: string;
  readonly direction: Direction;
  /** Where it begins in its direction of its connection. */
  readonly offset: number;
  /** 1 for the first of this name on its connection. */
  readonly occurrence: number;
  /** 0 for the proxy's first connection. */
  readonly connection: number;
  /** The payload of a command or message, the fields of a section; empty where there are none. */
  readonly payload: Buffer;
}

/** Both directions end at once: where the element begins or ends, or where so many bytes of a direction have passed. */
export type CutPoint = (
  | { readonly element: string; readonly occurrence?: number; readonly edge?: 'before' | 'after' }
  | { readonly byte: number; readonly direction: Direction }
) & {
  /** `close` (default): both ends see the connection end. `stall`: nothing passes any more, and nobody is told. */
  readonly effect?: 'close' | 'stall';
};

export interface StreamProxyOptions {
  readonly listen: StreamUri;
  /** Where the destination listens; a function is asked at each connection. */
  readonly connect: StreamUri | (() => StreamUri);
  /** Called before an element passes, when all before it was written. A promise holds the element back. */
  readonly onElement?: (element: ProxyElement) => void | Promise<void>;
  readonly cutAt?: CutPoint;
  readonly transform?: StreamTransform;
}

export interface ProxyConnection {
  /** Bytes that entered the proxy, by direction. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Names of the elements that passed, in the order of passing. */
  readonly elements: readonly string[];
  readonly cut: boolean;
  /** What was wrong with the stream, in the eyes of the proxy's parser; what follows passes unparsed. */
  readonly parseError: Error | undefined;
  /** Resolves when both directions have ended. */
  readonly closed: Promise<void>;
}

export interface StreamProxy {
  /** What the source is to connect to. */
  readonly uri: StreamUri;
  readonly connections: readonly ProxyConnection[];
  /** Cuts every open connection now. */
  cut(effect?: 'close' | 'stall'): void;
  close(): Promise<void>;
}

/** Starts a proxy. Port 0 in `listen` lets the kernel choose. */
export async function startStreamProxy(options: StreamProxyOptions): Promise<StreamProxy> {
  const links: Link[] = [];
  const server = createServer({ allowHalfOpen: true }, (source) => {
    const target = typeof options.connect === 'function' ? options.connect() : options.connect;
    const destination = connect({ ...socketOptions(target), allowHalfOpen: true });
    links.push(new Link(source, destination, options, links.length));
  });
  server.listen(socketOptions(options.listen));
  await once(server, 'listening');
  return {
    uri: listeningUri(server),
    connections: links,
    cut: (effect = 'close') => {
      for (const link of links) link.cutNow(effect);
    },
    close: async () => {
      for (const link of links) link.destroy();
      server.close();
      await Promise.all([once(server, 'close'), ...links.map((link) => link.closed)]);
    },
  };
}

function socketOptions(uri: StreamUri): { path: string } | { host: string; port: number } {
  if (uri.startsWith('unix:')) return { path: uri.slice('unix:'.length) };
  const match = /^tcp:(.*):(\d+)$/.exec(uri);
  if (!match) throw new Error(`a proxy cannot use ${uri}`);
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(match[2]) };
}

function listeningUri(server: Server): StreamUri {
  const address = server.address() as AddressInfo | string;
  return typeof address === 'string' ? `unix:${address}` : `tcp:${address.address}:${String(address.port)}`;
}

/** One connection: two pumps and what they have seen. */
class Link implements ProxyConnection {
  readonly bytes: Record<Direction, number> = { forward: 0, backward: 0 };
  readonly elements: string[] = [];
  readonly closed: Promise<void>;
  cut = false;
  parseError: Error | undefined;
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #options: StreamProxyOptions;
  readonly #index: number;
  readonly #transformer: UnitTransformer;
  readonly #occurrences = new Map<string, number>();

  constructor(source: Socket, destination: Socket, options: StreamProxyOptions, index: number) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    this.#index = index;
    this.#transformer = new UnitTransformer(options.transform ?? {});
    const ended = [source, destination].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    // An end that vanishes takes the other one along, as a real link would.
    source.on('error', () => destination.destroy());
    destination.on('error', () => source.destroy());
    const pumps = [this.#pump('forward', new MainStreamParser()), this.#pump('backward', new ReturnPathParser())];
    this.closed = Promise.all([...ended, ...pumps]).then(() => undefined);
  }

  cutNow(effect: 'close' | 'stall'): void {
    this.cut = true;
    if (effect === 'close') this.destroy();
    else for (const socket of [this.#source, this.#destination]) socket.pause();
  }

  destroy(): void {
    this.#source.destroy();
    this.#destination.destroy();
  }

  async #pump(direction: Direction, parser: MainStreamParser | ReturnPathParser): Promise<void> {
    const [from, to] = direction === 'forward' ? [this.#source, this.#destination] : [this.#destination, this.#source];
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (this.cut) return;
        const passed = this.bytes[direction];
        this.bytes[direction] += chunk.length;
        const allowed = this.#allowedBytes(direction, passed, chunk.length);
        await this.#pass(direction, parser, chunk.subarray(0, allowed), to);
        if (allowed < chunk.length) {
          await write(to, parser.rest);
          this.cutNow(this.#options.cutAt?.effect ?? 'close');
          return;
        }
      }
      if (parser.error === undefined) await write(to, parser.rest);
      to.end();
    } catch {
      this.destroy(); // a socket broke: the other end learns it by the end of its own
    }
  }

  /** How many bytes of the next chunk pass before a cut that was asked for by byte. */
  #allowedBytes(direction: Direction, passed: number, length: number): number {
    const cutAt = this.#options.cutAt;
    if (cutAt === undefined || !('byte' in cutAt) || cutAt.direction !== direction) return length;
    return Math.min(length, Math.max(0, cutAt.byte - passed));
  }

  async #pass(
    direction: Direction,
    parser: MainStreamParser | ReturnPathParser,
    chunk: Buffer,
    to: Socket,
  ): Promise<void> {
    if (parser.error !== undefined) {
      await write(to, chunk);
      return;
    }
    const { buffer, units, error } = parser.push(chunk);
    await this.#passUnits(direction, parser.offset, buffer, units, to);
    if (error !== undefined && !this.cut) {
      this.parseError = error;
      await write(to, parser.rest);
    }
  }

  async #passUnits(direction: Direction, base: number, buffer: Buffer, units: StreamUnit[], to: Socket): Promise<void> {
    let from = units[0]?.start ?? 0;
    const flush = async (end: number): Promise<void> => {
      await write(to, buffer.subarray(from, end));
      from = end;
    };
    for (const unit of units) {
      if (unit.element !== undefined) {
        await flush(unit.start);
        const occurrence = await this.#announce(direction, base, buffer, unit, unit.element);
        if (this.cut || this.#cutsHere(unit.element, occurrence, 'before')) return;
        this.elements.push(unit.element);
      }
      const replaced =
        this.#options.transform && direction === 'forward' ? this.#transformer.apply(buffer, unit) : undefined;
      if (replaced !== undefined) {
        await flush(unit.start);
        await write(to, replaced);
        from = unit.end;
      }
      if (unit.ends !== undefined && this.#endsHere(unit.ends)) {
        await flush(unit.end);
        if (this.#cutsHere(unit.ends, this.#occurrences.get(unit.ends) ?? 0, 'after')) return;
      }
    }
    await flush(units.at(-1)?.end ?? from);
  }

  async #announce(direction: Direction, base: number, buffer: Buffer, unit: StreamUnit, name: string): Promise<number> {
    const occurrence = (this.#occurrences.get(name) ?? 0) + 1;
    this.#occurrences.set(name, occurrence);
    const payload = unit.bodyStart === undefined ? Buffer.alloc(0) : buffer.subarray(unit.bodyStart, unit.end);
    const element = { name, direction, offset: base + unit.start, occurrence, connection: this.#index, payload };
    await this.#options.onElement?.(element);
    return occurrence;
  }

  #endsHere(name: string): boolean {
    const cutAt = this.#options.cutAt;
    return cutAt !== undefined && 'element' in cutAt && cutAt.element === name && cutAt.edge === 'after';
  }

  /** Carries the cut out if it was asked for here. */
  #cutsHere(name: string, occurrence: number, edge: 'before' | 'after'): boolean {
    const cutAt = this.#options.cutAt;
    if (cutAt === undefined || !('element' in cutAt) || cutAt.element !== name) return false;
    if ((cutAt.occurrence ?? 1) !== occurrence || (cutAt.edge ?? 'before') !== edge) return false;
    this.cutNow(cutAt.effect ?? 'close');
    return true;
  }
}

/** Resolves when the kernel has taken the bytes: a cut that follows loses none of them. */
async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  await new Promise<void>((resolve, reject) => {
    socket.write(bytes, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
