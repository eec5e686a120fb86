// SPDX-License-Identifier: Apache-2.0
/** Notifications: kept, not drawn. A test clicks with `notification.emit('click')`. */
import { record } from '../record.ts';
import { StrictEmitter } from '../strict.ts';
import type { Conforms } from '../conforms.ts';

export class Notification extends StrictEmitter {
  protected static override readonly provided = ['show', 'click', 'close', 'action', 'reply', 'failed'];
  readonly title: string;
  readonly subtitle: string;
  readonly body: string;
  readonly silent: boolean;
  readonly actions: readonly Electron.NotificationAction[];
  /** Of the stand-in. */
  readonly options: Electron.NotificationConstructorOptions;
  isShown = false;

  constructor(options: Electron.NotificationConstructorOptions = {}) {
    super();
    this.options = options;
    this.title = options.title ?? '';
    this.subtitle = options.subtitle ?? '';
    this.body = options.body ?? '';
    this.silent = options.silent ?? false;
    this.actions = options.actions ?? [];
  }

  static isSupported(): boolean {
    return true;
  }

  show(): void {
    if (!this.isShown) record.notifications.push(this);
    this.isShown = true;
    this.emit('show', {});
  }

  close(): void {
    if (!this.isShown) return;
    this.isShown = false;
    this.emit('close', {});
  }
}

export type CheckedNotification = Conforms<
  Pick<Electron.Notification, 'show' | 'close' | 'title' | 'body' | 'silent'>,
  Notification
>;
