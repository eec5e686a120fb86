// SPDX-License-Identifier: Apache-2.0
/** What a page may really do: Chromium is told beforehand what the app's handlers would answer. */
import type { Protocol, Session } from '../chromium/cdp.ts';
import { originOf } from '../page/carried-url.ts';
import { record } from '../record.ts';

type Checker = NonNullable<(typeof record.handlers)['permissionCheck']>;
type Permission = Parameters<Checker>[1];

const CHROMIUMS_NAMES: Readonly<Partial<Record<Permission, readonly Protocol.Browser.PermissionType[]>>> = {
  notifications: ['notifications'],
  geolocation: ['geolocation'],
  media: ['audioCapture', 'videoCapture'],
  midi: ['midi'],
  'clipboard-read': ['clipboardReadWrite'],
  'clipboard-sanitized-write': ['clipboardSanitizedWrite'],
};

/**
 * For pages of that URL, from now on. Without handlers all is granted, as in Electron. The check handler can be asked
 * at any time; a request handler alone cannot be, as it may show something to the user: then all is refused.
 */
export async function applyPermissions(browser: Session, contents: object, url: string): Promise<void> {
  const { permissionCheck, permissionRequest } = record.handlers;
  const isGranted = (permission: Permission): boolean => {
    if (permissionCheck === null) return permissionRequest === null;
    const details = { isMainFrame: true, requestingUrl: url };
    return permissionCheck(contents as Electron.WebContents, permission, originOf(url), details);
  };
  const names = (Object.keys(CHROMIUMS_NAMES) as Permission[]).filter(isGranted);
  const permissions = names.flatMap((name) => CHROMIUMS_NAMES[name] ?? []);
  await browser.send('Browser.grantPermissions', { permissions });
}
