// SPDX-License-Identifier: Apache-2.0
/** What main told Electron, from a running app. */
import type { ElectronApplication } from 'playwright-core';
import type {} from '../../standin/record.ts';
import type { SecuritySettings } from './security-settings.ts';

/** Every permission that Electron's types name, and one that comes later. */
const PERMISSIONS = [
  ...['clipboard-read', 'clipboard-sanitized-write', 'display-capture', 'fullscreen', 'geolocation', 'idle-detection'],
  ...['media', 'mediaKeySystem', 'midi', 'midiSysex', 'notifications', 'pointerLock', 'keyboardLock', 'openExternal'],
  ...['speaker-selection', 'storage-access', 'window-management', 'unknown', 'fileSystem', 'hid', 'serial', 'usb'],
  'of-a-later-release',
];

type Permission = Parameters<Parameters<Electron.Session['setPermissionRequestHandler']>[0] & {}>[1];

/** From the stand-in's record. */
export function readSecuritySettings(electron: ElectronApplication): Promise<SecuritySettings> {
  return electron.evaluate(async ({ BrowserWindow }, permissions) => {
    const { windows, isSandboxEnabled, privilegedSchemes, switches, handlers } = globalThis.__standin;
    const [contents] = BrowserWindow.getAllWindows().map(({ webContents }) => webContents);
    const granted: string[] = [];
    for (const permission of permissions as Permission[]) {
      const { permissionRequest, permissionCheck } = handlers;
      if (permissionRequest === null || permissionCheck === null) granted.push(`${permission}: nobody is asked`);
      await new Promise<void>((resolve) => {
        permissionRequest?.(
          contents as never,
          permission,
          (yes) => {
            if (yes) granted.push(permission);
            resolve();
          },
          {} as never,
        );
      });
      if (permissionCheck?.(contents as never, permission, 'app://godwit', {} as never) === true)
        granted.push(permission);
    }
    if (handlers.devicePermission?.({ deviceType: 'usb' } as never) !== false) granted.push('devices');
    return {
      webPreferences: windows.map(({ options }) => ({ ...options.webPreferences })),
      sandboxed: isSandboxEnabled,
      schemes: privilegedSchemes.map(({ scheme, privileges }) => ({ scheme, privileges: { ...privileges } })),
      switches: switches.map(({ name }) => ({ name })),
      granted,
      opened: [],
    };
  }, PERMISSIONS);
}
