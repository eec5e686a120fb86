// SPDX-License-Identifier: Apache-2.0
/** Where the page lives: `app://godwit/`, and its screens behind `#`. */

export const SCHEME = 'app';
export const ORIGIN = 'app://godwit';

/** The document, at a screen. */
export const documentAddress = (route = '/'): string => `${ORIGIN}/#${route}`;

/** Whether an address is of the page. A custom scheme has no origin to Node, so it is compared as text. */
export function isOurs(address: string): boolean {
  return address === ORIGIN || address.startsWith(`${ORIGIN}/`);
}

const SCREENS = /^\/(?:machines|runs|history|settings)$/;
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const RUN = new RegExp(`^/runs/${UUID}$`);

const isRoute = (route: string): boolean => SCREENS.test(route) || RUN.test(route);

/** The screen of an address of the page; undefined where it is none that may be asked for from outside. */
export function routeOfAddress(address: string): string | undefined {
  const route = isOurs(address) ? address.split('#')[1] : undefined;
  return route !== undefined && isRoute(route) ? route : undefined;
}

export const routeOfRun = (id: string): string => `/runs/${id}`;

const DEEP_LINK = new RegExp(`^godwit://run/(${UUID})/?$`, 'i');

/**
 * The screen that a command line asks for: `godwit://run/<id>` opens that run. A link only ever navigates. Undefined
 * where there is none, or one that is not of this form.
 */
export function routeOfArguments(argv: readonly string[]): string | undefined {
  for (const argument of argv) {
    const id = DEEP_LINK.exec(argument)?.[1];
    if (id !== undefined) return routeOfRun(id.toLowerCase());
  }
  return undefined;
}
