// SPDX-License-Identifier: Apache-2.0
/** The desktop's notifications: a run that ends, pauses or waits, for a user who does not look at the window. */
import { Notification } from 'electron';
import type { EventEnvelope } from '../../../src-shared/contract.ts';
import { routeOfRun } from './app-address.ts';
import { RunNotices } from './run-notices.ts';

export interface NotificationsOptions {
  readonly icon: string;
  /** Whether the user wants them, and does not look at the window anyway. */
  readonly wanted: () => boolean;
  readonly open: (route: string) => void;
}

/** Answers what takes the manager's events. */
export function notifier({ icon, wanted, open }: NotificationsOptions): (event: EventEnvelope) => void {
  const notices = new RunNotices();
  /** One that is collected is gone from the desktop, or its click is never heard. */
  const shown = new Set<Notification>();
  return (event) => {
    if (event.name !== 'run.changed') return;
    const notice = notices.take(event.data);
    if (notice === null || !wanted() || !Notification.isSupported()) return;
    const notification = new Notification({ title: notice.title, body: notice.body, icon });
    shown.add(notification);
    notification.on('click', () => open(routeOfRun(notice.runId)));
    notification.on('close', () => shown.delete(notification));
    notification.show();
  };
}
