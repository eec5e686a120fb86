// SPDX-License-Identifier: Apache-2.0
/** What runs in the isolated world: ipcRenderer and contextBridge for the preload, and the keys of the menu. */
import type { Bridge } from './bridge.ts';
import type { Codec } from './codec.ts';
import type { Opening } from './window-opening.ts';
import type { AcceleratorKeys, FromPage, ToPage } from './messages.ts';

interface NavigateEvent extends Event {
  readonly destination: { readonly url: string };
}

interface KeyboardEvent {
  readonly key: string;
  readonly code: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
  readonly metaKey: boolean;
  readonly defaultPrevented: boolean;
  preventDefault(): void;
}

/** Of the page, which this program's types do not know. */
declare const window: {
  readonly top: unknown;
  addEventListener(name: string, listener: (event: KeyboardEvent) => void, capture?: boolean): void;
  removeEventListener(name: string, listener: (event: KeyboardEvent) => void): void;
};
declare const document: { readonly title: string; readonly head: object | null };
declare const MutationObserver: new (heard: () => void) => {
  observe(node: object, what: object): void;
  disconnect(): void;
};
declare const navigation: {
  addEventListener(name: 'navigate', listener: (event: NavigateEvent) => void): void;
};
declare const location: { readonly href: string };

export interface IsolatedOptions {
  readonly startPage: string;
  readonly binding: string;
  readonly receiver: string;
  readonly inSubFrames: boolean;
  /** A regular expression: see PERFORMED. */
  readonly performed: string;
  readonly platform: string;
  readonly versions: Readonly<Record<string, string>>;
}

export type Preload = (
  require: (name: string) => unknown,
  process: object,
  module: { exports: unknown },
  exports: unknown,
) => void;

/** Refers to nothing outside itself: its text runs in the page. */
export function runIsolatedWorld(
  options: IsolatedOptions,
  codec: Codec,
  bridge: Bridge,
  watchOpening: (opening: (opening: Opening) => void) => void,
  preload: Preload,
): void {
  type Listener = (event: object, ...args: unknown[]) => void;
  const globals = globalThis as unknown as Record<string, (text: string) => void>;
  const isMainFrame = window.top === window;
  if (isMainFrame && (location.href === options.startPage || location.href === 'about:blank')) return;
  const tell = globals[options.binding] as (text: string) => void;
  delete globals[options.binding];

  const send = (message: FromPage): void => tell(codec.encode(message));
  const replies = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const listeners = new Map<string, { heard: Listener; given: Listener }[]>();
  let lastInvoke = 0;
  let keys: readonly AcceleratorKeys[] = [];

  globals[options.receiver] = (text) => {
    const message = codec.decode(text) as ToPage;
    if (message.is === 'accelerators') keys = message.keys;
    else if (message.is === 'reply') {
      const reply = replies.get(message.id);
      replies.delete(message.id);
      if (message.ok) reply?.resolve(message.value);
      else reply?.reject(new Error(message.value as string));
    } else {
      const event = { sender: ipcRenderer, ports: [] };
      for (const { heard } of [...(listeners.get(message.channel) ?? [])]) heard(event, ...message.args);
    }
  };

  const strict = (name: string, members: object): object =>
    new Proxy(members, {
      get: (from, key) => {
        if (key in from || typeof key === 'symbol' || key === 'then' || key === 'toJSON')
          return Reflect.get(from, key) as unknown;
        throw new Error(`The stand-in for Electron does not provide ${name}.${key} in a preload.`);
      },
    });
  const add = (channel: string, given: Listener, heard = given): object => {
    listeners.set(channel, [...(listeners.get(channel) ?? []), { heard, given }]);
    return ipcRenderer;
  };
  const remove = (channel: string, given: Listener): object => {
    const held = listeners.get(channel) ?? [];
    const index = held.findLastIndex((entry) => entry.given === given);
    listeners.set(channel, held.toSpliced(index, index < 0 ? 0 : 1));
    return ipcRenderer;
  };
  const ipcRenderer = strict('ipcRenderer', {
    invoke: (channel: string, ...args: unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const id = ++lastInvoke;
        send({ is: 'invoke', id, channel, args });
        replies.set(id, { resolve, reject });
      }),
    send: (channel: string, ...args: unknown[]) => send({ is: 'send', channel, args }),
    on: (channel: string, listener: Listener) => add(channel, listener),
    addListener: (channel: string, listener: Listener) => add(channel, listener),
    once: (channel: string, listener: Listener) =>
      add(channel, listener, (event, ...args) => {
        remove(channel, listener);
        listener(event, ...args);
      }),
    off: remove,
    removeListener: remove,
    removeAllListeners: (channel?: string) => {
      if (channel === undefined) listeners.clear();
      else listeners.delete(channel);
      return ipcRenderer;
    },
    listenerCount: (channel: string) => listeners.get(channel)?.length ?? 0,
  });
  const contextBridge = strict('contextBridge', {
    exposeInMainWorld: (key: string, api: unknown) => bridge.expose(key, api),
  });
  const electron = strict('electron', { ipcRenderer, contextBridge });
  const require = (name: string): unknown => {
    if (name === 'electron' || name === 'electron/renderer') return electron;
    throw new Error(`module not found: ${name}`);
  };
  const process = strict('process', {
    platform: options.platform,
    versions: options.versions,
    type: 'renderer',
    sandboxed: true,
    contextIsolated: true,
    isMainFrame,
    env: {},
  });

  const matches = (wanted: AcceleratorKeys, event: KeyboardEvent): boolean => {
    const { ctrlKey, altKey, shiftKey, metaKey } = event;
    if (wanted.ctrl !== ctrlKey || wanted.alt !== altKey || wanted.meta !== metaKey) return false;
    const typed = event.key.toLowerCase();
    // "Plus" and the like are typed with Shift on some keyboards and without on others.
    if (wanted.shift !== shiftKey && !(wanted.key === typed && /^[^a-z0-9]$/.test(typed))) return false;
    const physical = /^(?:Key|Digit)(.)$/.exec(event.code)?.[1]?.toLowerCase();
    return wanted.key === typed || wanted.key === physical;
  };
  const press = (event: KeyboardEvent): void => {
    if (event.defaultPrevented) return;
    const found = keys.find((wanted) => matches(wanted, event));
    if (found === undefined) return;
    event.preventDefault();
    send({ is: 'accelerator', index: found.index });
  };
  // The page hears a key first; the menu takes what it did not use. So this listener makes itself the last.
  window.addEventListener(
    'keydown',
    () => {
      window.removeEventListener('keydown', press);
      window.addEventListener('keydown', press);
    },
    true,
  );
  const watchTitle = (): void => {
    let last = '';
    let isInHead = false;
    const observer = new MutationObserver(() => {
      if (document.title !== last) {
        last = document.title;
        send({ is: 'titled', title: last });
      }
      if (isInHead || document.head === null) return;
      isInHead = true;
      observer.disconnect();
      observer.observe(document.head, { subtree: true, childList: true, characterData: true });
    });
    observer.observe(document, { subtree: true, childList: true });
  };
  const performed = new RegExp(options.performed, 'i');
  navigation.addEventListener('navigate', (event) => {
    const { url } = event.destination;
    if (event.defaultPrevented || performed.test(url)) return;
    event.preventDefault();
    send({ is: 'foreign', url });
  });
  watchOpening((opening) => send({ is: 'opening', ...opening }));
  if (isMainFrame) {
    window.addEventListener('resize', () => send({ is: 'resized' }));
    watchTitle();
  }
  if (!isMainFrame && !options.inSubFrames) return;
  try {
    const module = { exports: {} };
    preload(require, process, module, module.exports);
  } catch (error) {
    const { message = String(error), stack = '' } = error instanceof Error ? error : {};
    send({ is: 'preload-error', message, stack });
  }
}
