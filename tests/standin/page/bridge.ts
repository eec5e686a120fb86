// SPDX-License-Identifier: Apache-2.0
/** What contextBridge does: values are copied between the two worlds of a page, functions and promises are stood for. */

/** Of the page's document, which this program's types do not know. */
declare const document: {
  dispatchEvent(event: Event): boolean;
  addEventListener(name: string, listener: (event: Event) => void): void;
};

export interface Bridge {
  /** Puts a copy of the API on the other world's `window`. */
  expose(key: string, api: unknown): void;
}

/**
 * One end; both worlds run the same text with the names swapped. Events of the document reach both worlds at once and
 * their detail is cloned in between, so a call is answered before it returns. Refers to nothing outside itself.
 */
export function makeBridge(outgoing: string, incoming: string): Bridge {
  type AnyFunction = (...args: unknown[]) => unknown;
  type Message =
    | { readonly op: 'call'; readonly id: number; readonly args: readonly unknown[] }
    | { readonly op: 'settle'; readonly id: number; readonly ok: boolean; readonly value: unknown }
    | { readonly op: 'expose'; readonly key: string; readonly value: unknown }
    | { readonly op: 'answer'; readonly ok: boolean; readonly value: unknown };
  interface Settle {
    resolve(value: unknown): void;
    reject(error: unknown): void;
  }

  const mine = new Map<number, AnyFunction>();
  const theirs = new WeakMap<object, number>();
  const awaited = new Map<number, Settle>();
  let lastId = 0;
  let answer: Message | null = null;

  const send = (message: Message): void => {
    document.dispatchEvent(new CustomEvent(outgoing, { detail: message }));
  };
  const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  const isPlain = (value: object): boolean => Object.prototype.toString.call(value) === '[object Object]';

  /** Whether a function or a promise is somewhere in it: then it cannot be cloned as a whole. */
  const hasLive = (value: unknown, above: readonly object[] = []): boolean => {
    if (typeof value === 'function' || value instanceof Promise) return true;
    if (typeof value !== 'object' || value === null || above.includes(value)) return false;
    if (!Array.isArray(value) && !isPlain(value)) return false;
    return Object.values(value).some((held) => hasLive(held, [...above, value]));
  };
  const pack = (value: unknown): unknown => {
    if (typeof value === 'symbol') return { plain: undefined };
    if (typeof value === 'function') {
      const own = theirs.get(value);
      if (own !== undefined) return { back: own };
      mine.set(++lastId, value as AnyFunction);
      return { function: lastId };
    }
    if (value instanceof Promise) {
      const id = ++lastId;
      value.then(
        (result: unknown) => send({ op: 'settle', id, ok: true, value: pack(result) }),
        (error: unknown) => send({ op: 'settle', id, ok: false, value: messageOf(error) }),
      );
      return { promise: id };
    }
    if (value instanceof Error) return { error: value.message };
    if (hasLive(value)) {
      if (Array.isArray(value)) return { list: value.map(pack) };
      return { object: Object.entries(value as object).map(([key, held]) => [key, pack(held)]) };
    }
    try {
      return { plain: structuredClone(value) };
    } catch {
      throw new Error('An object could not be cloned.');
    }
  };
  const unpack = (packed: unknown): unknown => {
    const held = packed as Record<string, unknown>;
    if ('back' in held) return mine.get(held['back'] as number);
    if ('function' in held) return proxyOf(held['function'] as number);
    if ('promise' in held) {
      return new Promise((resolve, reject) => awaited.set(held['promise'] as number, { resolve, reject }));
    }
    if ('error' in held) return new Error(held['error'] as string);
    if ('list' in held) return (held['list'] as unknown[]).map(unpack);
    if ('object' in held)
      return Object.fromEntries((held['object'] as [string, unknown][]).map(([key, value]) => [key, unpack(value)]));
    return held['plain'];
  };
  const proxyOf = (id: number): AnyFunction => {
    const proxy: AnyFunction = (...args) => {
      send({ op: 'call', id, args: args.map(pack) });
      const given = answer;
      answer = null;
      if (given?.op !== 'answer') throw new Error('The other world of the page does not answer.');
      if (!given.ok) throw new Error(given.value as string);
      return unpack(given.value);
    };
    theirs.set(proxy, id);
    return proxy;
  };
  const call = (id: number, args: readonly unknown[]): Message => {
    try {
      return { op: 'answer', ok: true, value: pack(mine.get(id)?.(...args.map(unpack))) };
    } catch (error) {
      return { op: 'answer', ok: false, value: messageOf(error) };
    }
  };
  const freeze = (value: unknown): void => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return;
    if (Object.isFrozen(value) || ArrayBuffer.isView(value)) return;
    Object.freeze(value);
    for (const held of Object.values(value) as unknown[]) freeze(held);
  };

  document.addEventListener(incoming, (event) => {
    const message = (event as CustomEvent<Message>).detail;
    if (message.op === 'answer') answer = message;
    else if (message.op === 'call') send(call(message.id, message.args));
    else if (message.op === 'settle') {
      const settle = awaited.get(message.id);
      awaited.delete(message.id);
      if (message.ok) settle?.resolve(unpack(message.value));
      else settle?.reject(new Error(message.value as string));
    } else {
      const api = unpack(message.value);
      freeze(api);
      Object.defineProperty(globalThis, message.key, { value: api, enumerable: true });
    }
  });
  return {
    expose: (key, api) => {
      if (Object.hasOwn(globalThis, `exposed:${key}`))
        throw new Error(`Cannot bind an API on top of an existing property on the window object: ${key}`);
      Object.defineProperty(globalThis, `exposed:${key}`, { value: true });
      send({ op: 'expose', key, value: pack(api) });
    },
  };
}
