// SPDX-License-Identifier: Apache-2.0
/** The event object that listeners get first. */

export interface Preventable {
  readonly defaultPrevented: boolean;
  preventDefault(): void;
}

/** With the given properties beside `preventDefault`. */
export function preventable<T extends object>(properties: T): T & Preventable {
  let prevented = false;
  const event = {
    ...properties,
    preventDefault: () => {
      prevented = true;
    },
  };
  return Object.defineProperty(event, 'defaultPrevented', { get: () => prevented, enumerable: true }) as T &
    Preventable;
}
