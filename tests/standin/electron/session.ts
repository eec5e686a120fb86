// SPDX-License-Identifier: Apache-2.0
/** The default session: handlers are kept for tests, and what a page may do follows the check handler. */
import { record } from '../record.ts';
import { strict, StrictEmitter } from '../strict.ts';
import { protocol } from './protocol.ts';
import type { Conforms } from '../conforms.ts';

type Handlers = typeof record.handlers;

export class Session extends StrictEmitter {
  protected static override readonly provided = ['will-download'];
  readonly protocol = protocol;

  setPermissionRequestHandler(handler: Handlers['permissionRequest']): void {
    record.handlers.permissionRequest = handler;
  }

  setPermissionCheckHandler(handler: Handlers['permissionCheck']): void {
    record.handlers.permissionCheck = handler;
  }

  setDevicePermissionHandler(handler: Handlers['devicePermission']): void {
    record.handlers.devicePermission = handler;
  }

  setDisplayMediaRequestHandler(handler: Handlers['displayMediaRequest']): void {
    record.handlers.displayMediaRequest = handler;
  }

  setCertificateVerifyProc(handler: Handlers['certificateVerify']): void {
    record.handlers.certificateVerify = handler;
  }

  setSpellCheckerEnabled(enable: boolean): void {
    record.isSpellCheckerEnabled = enable;
  }

  /** Each start has a new profile: there is nothing to clear but what the page itself stored just now. */
  clearStorageData(): Promise<void> {
    return Promise.resolve();
  }
}

type Checked = Exclude<keyof Session, keyof StrictEmitter | 'protocol'>;
export type CheckedSession = Conforms<Pick<Electron.Session, Checked>, Session>;

export const defaultSession = new Session();
export const session = strict('session', { defaultSession });
