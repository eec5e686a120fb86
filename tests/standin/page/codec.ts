// SPDX-License-Identifier: Apache-2.0
/** Structured clones as JSON text, for a channel that carries text only. */

export interface Codec {
  /** Throws "An object could not be cloned." where structuredClone does. */
  encode(value: unknown): string;
  decode(text: string): unknown;
}

export interface Base64 {
  encode(bytes: Uint8Array): string;
  decode(text: string): Uint8Array<ArrayBuffer>;
}

/** Refers to nothing outside itself: its text also runs in the page. */
export function makeCodec(base64: Base64): Codec {
  type Tagged = { readonly $: string; readonly k?: string; readonly v?: unknown; readonly s?: string | undefined };
  type TypedArray = new (buffer: ArrayBuffer) => object;
  const typedArrays: Readonly<Record<string, TypedArray>> = {
    ...{ Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array },
    ...{ Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView },
  };
  const errors: Readonly<Record<string, new (message: string) => Error>> = {
    ...{ Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError },
  };
  const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

  const encode = (value: unknown): string => {
    let copy: unknown;
    try {
      // What it refuses is refused, and what it drops (prototypes, getters) is dropped.
      copy = structuredClone(value);
    } catch {
      throw new Error('An object could not be cloned.');
    }
    const seen = new Map<object, number>();
    const walk = (item: unknown): unknown => {
      if (item === undefined) return { $: 'undefined' };
      if (typeof item === 'bigint') return { $: 'bigint', v: String(item) };
      if (typeof item === 'number' && (!Number.isFinite(item) || Object.is(item, -0)))
        return { $: 'number', v: Object.is(item, -0) ? '-0' : String(item) };
      if (typeof item !== 'object' || item === null) return item;
      const known = seen.get(item);
      if (known !== undefined) return { $: 'again', v: known };
      seen.set(item, seen.size);
      return walkObject(item);
    };
    const walkObject = (item: object): unknown => {
      if (Array.isArray(item)) return Array.from(item, walk);
      if (item instanceof Date) return { $: 'date', v: walk(item.getTime()) };
      if (item instanceof RegExp) return { $: 'regexp', v: item.source, s: item.flags };
      if (item instanceof Map) return { $: 'map', v: [...item].map(([key, held]) => [walk(key), walk(held)]) };
      if (item instanceof Set) return { $: 'set', v: [...item].map(walk) };
      if (item instanceof ArrayBuffer) return { $: 'buffer', v: base64.encode(new Uint8Array(item)) };
      if (ArrayBuffer.isView(item)) {
        const bytes = new Uint8Array(item.buffer, item.byteOffset, item.byteLength);
        return { $: 'view', k: tagOf(item), v: base64.encode(bytes) };
      }
      if (item instanceof Error) return { $: 'error', k: item.name, v: item.message, s: item.stack };
      if (item instanceof Boolean || item instanceof Number || item instanceof String)
        return { $: 'boxed', v: walk(item.valueOf()) };
      if (tagOf(item) !== 'Object') throw new Error('An object could not be cloned.');
      return { $: 'object', v: Object.entries(item).map(([key, held]) => [key, walk(held)]) };
    };
    return JSON.stringify(walk(copy));
  };

  const decode = (text: string): unknown => {
    const made: object[] = [];
    const keep = <T extends object>(item: T): T => {
      made.push(item);
      return item;
    };
    const walk = (item: unknown): unknown => {
      if (typeof item !== 'object' || item === null) return item;
      if (Array.isArray(item)) {
        const list: unknown[] = keep([]);
        for (const held of item) list.push(walk(held));
        return list;
      }
      return walkTagged(item as Tagged);
    };
    const walkTagged = ({ $, k = '', v, s }: Tagged): unknown => {
      if ($ === 'undefined') return undefined;
      if ($ === 'bigint') return BigInt(v as string);
      if ($ === 'number') return Number(v);
      if ($ === 'again') return made[v as number];
      if ($ === 'date') return keep(new Date(walk(v) as number));
      if ($ === 'regexp') return keep(new RegExp(v as string, s));
      if ($ === 'buffer') return keep(base64.decode(v as string).buffer);
      if ($ === 'view') return keep(new (typedArrays[k] ?? Uint8Array)(base64.decode(v as string).buffer));
      if ($ === 'boxed') return keep(Object(walk(v)) as object);
      if ($ === 'error') return keep(Object.assign(new (errors[k] ?? Error)(v as string), { stack: s }));
      if ($ === 'map') {
        const map = keep(new Map<unknown, unknown>());
        for (const [key, held] of v as [unknown, unknown][]) map.set(walk(key), walk(held));
        return map;
      }
      if ($ === 'set') {
        const set = keep(new Set<unknown>());
        for (const held of v as unknown[]) set.add(walk(held));
        return set;
      }
      const object: Record<string, unknown> = keep({});
      for (const [key, held] of v as [string, unknown][]) {
        const property = { value: walk(held), enumerable: true, writable: true, configurable: true };
        Object.defineProperty(object, key, property);
      }
      return object;
    };
    return walk(JSON.parse(text));
  };

  return { encode, decode };
}

/** The codec of the main process. */
export const codec = makeCodec({
  encode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  decode: (text) => new Uint8Array(Buffer.from(text, 'base64')),
});
