// SPDX-License-Identifier: Apache-2.0
/** Members that are not provided throw and say their name, so that nothing untested is silently `undefined`. */
import { EventEmitter } from 'node:events';

/** What the language, Node's inspection and test tools ask of any object. */
const ASKED_OF_EVERYTHING = new Set<string | symbol>([
  ...['then', 'catch', 'toJSON', 'constructor', 'prototype', 'inspect', 'nodeType', 'tagName', 'domain'],
  ...['asymmetricMatch', 'message', 'stack', 'length', 'name', 'window', 'self', 'objects', '__esModule'],
]);

/** The error of a member that the stand-in does not have. */
export class NotProvided extends Error {
  constructor(name: string) {
    super(`The stand-in for Electron does not provide ${name}. See tests/standin/README.md.`);
    this.name = 'NotProvided';
  }
}

/** The object, with an error for every member that it does not have. Members may be assigned. */
export function strict<T extends object>(name: string, target: T): T {
  return new Proxy(target, {
    get(from, key) {
      if (key in from || isHarmless(key)) return Reflect.get(from, key) as unknown;
      throw new NotProvided(`${name}.${String(key)}`);
    },
  });
}

/** Something that cannot be used at all: reading a member, calling and constructing it throw. */
export function absent(name: string): object {
  // A function, because an arrow cannot be constructed.
  function refuse(): never {
    throw new NotProvided(name);
  }
  return new Proxy(refuse, {
    get: (_target, key) => (isHarmless(key) ? undefined : refuse()),
    apply: refuse,
    construct: refuse,
  });
}

/** An emitter whose missing members throw. Subclasses list the events that they really emit; others throw as well. */
export class StrictEmitter extends EventEmitter {
  /** null where any name may be an event, as IPC channels are. */
  protected static readonly provided: readonly string[] | null = null;

  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    this.#check(event);
    return super.on(event, listener as (...args: unknown[]) => void);
  }

  override addListener(event: string | symbol, listener: (...args: never[]) => void): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: (...args: never[]) => void): this {
    this.#check(event);
    return super.prependListener(event, listener as (...args: unknown[]) => void);
  }

  #check(event: string | symbol): void {
    const { provided, name } = this.constructor as typeof StrictEmitter;
    if (provided === null || typeof event === 'symbol' || provided.includes(event) || event === 'error') return;
    throw new NotProvided(`the event '${event}' of ${name}`);
  }
}

// Between this class and Node's emitter, where only lookups arrive that found nothing nearer. So instances stay what
// they are (with private fields), and only what nobody has throws.
Object.setPrototypeOf(StrictEmitter.prototype, guarded(EventEmitter.prototype, nameOfInstance));
Object.setPrototypeOf(StrictEmitter, guarded(EventEmitter, nameOfClass));

/** As StrictEmitter, for classes without events. */
// Its prototype is what it is for.
// eslint-disable-next-line @typescript-eslint/no-extraneous-class
export class StrictObject {}
Object.setPrototypeOf(StrictObject.prototype, guarded(Object.prototype, nameOfInstance));
Object.setPrototypeOf(StrictObject, guarded(Function.prototype, nameOfClass));

function guarded(parent: object, nameOf: (receiver: unknown) => string): object {
  return new Proxy(parent, {
    get(from, key, receiver) {
      if (key in from || isHarmless(key)) return Reflect.get(from, key, receiver) as unknown;
      throw new NotProvided(`${nameOf(receiver)}.${String(key)}`);
    },
  });
}

function isHarmless(key: string | symbol): boolean {
  return typeof key === 'symbol' || ASKED_OF_EVERYTHING.has(key);
}

function nameOfInstance(receiver: unknown): string {
  return (receiver as object).constructor.name;
}

function nameOfClass(receiver: unknown): string {
  return (receiver as { name: string }).name;
}
