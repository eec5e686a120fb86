// SPDX-License-Identifier: Apache-2.0
/**
 * What would open a window tells the main process instead. Chromium could only close the window again, and a window
 * that begins its life held by a debugger also holds the page that opened it.
 */

export interface Opening {
  readonly url: string;
  readonly name: string;
  readonly features: string;
}

/** An `a`, `area` or `form`, or anything else that was clicked. */
interface PageElement {
  readonly localName?: string;
  readonly href?: unknown;
  readonly action?: unknown;
  readonly target?: unknown;
}

interface PageEvent extends Event {
  readonly button?: number;
  readonly ctrlKey?: boolean;
  readonly metaKey?: boolean;
  readonly shiftKey?: boolean;
}

/** Of the page, which this program's types do not know. */
declare const document: {
  readonly baseURI: string;
  dispatchEvent(event: Event): boolean;
  addEventListener(name: string, listener: (event: Event) => void): void;
};
declare const window: {
  open: (url?: unknown, name?: unknown, features?: unknown) => null;
  readonly frames: Readonly<Record<string, unknown>>;
  addEventListener(name: string, listener: (event: Event) => void, capture?: boolean): void;
  removeEventListener(name: string, listener: (event: Event) => void): void;
};

/** In the page's own world. Refers to nothing outside itself. */
export function replaceWindowOpen(eventName: string): void {
  const tell = (url: string, name: string, features: string): void => {
    document.dispatchEvent(new CustomEvent(eventName, { detail: { url, name, features } }));
  };
  window.open = (url = '', name = '_blank', features = '') => {
    const text = String(url);
    // Throws for what is no URL, as window.open does.
    tell(text === '' ? 'about:blank' : new URL(text, document.baseURI).href, String(name), String(features));
    return null;
  };
}

/** In the isolated world. Refers to nothing outside itself. */
export function watchWindowOpening(eventName: string, opening: (opening: Opening) => void): void {
  const isElsewhere = (target: unknown): boolean =>
    typeof target === 'string' &&
    !['', '_self', '_top', '_parent'].includes(target.toLowerCase()) &&
    !(target in window.frames);
  const refuse = (event: Event, url: unknown, target: unknown): void => {
    event.preventDefault();
    opening({ url: String(url), name: typeof target === 'string' && target !== '' ? target : '_blank', features: '' });
  };
  const clicked = (given: Event): void => {
    const event = given as PageEvent;
    const elements = event.composedPath() as unknown as PageElement[];
    const link = elements.find(({ localName, href }) => ['a', 'area'].includes(localName ?? '') && href !== '');
    if (event.defaultPrevented || link === undefined) return;
    const isSideways =
      event.ctrlKey === true || event.metaKey === true || event.shiftKey === true || event.button === 1;
    if (isSideways || isElsewhere(link.target)) refuse(event, link.href, link.target);
  };
  const submitted = (event: Event): void => {
    const form = event.target as unknown as PageElement;
    if (!event.defaultPrevented && isElsewhere(form.target)) refuse(event, form.action, form.target);
  };
  for (const [name, act] of [
    ['click', clicked],
    ['auxclick', clicked],
    ['submit', submitted],
  ] as const) {
    // The page comes first: what it prevents opens nothing.
    window.addEventListener(
      name,
      () => {
        window.removeEventListener(name, act);
        window.addEventListener(name, act);
      },
      true,
    );
  }
  document.addEventListener(eventName, (event) => opening((event as CustomEvent<Opening>).detail));
}
