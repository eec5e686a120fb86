// SPDX-License-Identifier: Apache-2.0
/** The small app in sample/, as the tests of the stand-in see it. */
import { join } from 'node:path';
import type { BrowserWindow as ElectronWindow, UtilityProcess } from 'electron';
import type { JSHandle, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { Launched } from './launch.ts';

export const SAMPLE = join(import.meta.dirname, 'sample');
export const WAIT = { timeout: 30_000 };

export type Seen = readonly unknown[];
/** What sample/main.mjs puts on its globalThis. */
export interface SampleApp {
  readonly events: Seen[];
  readonly argv: string[];
  readonly isReadyAtStart: boolean;
  openWindow(preload?: string): { window: ElectronWindow; loaded: Promise<void> };
  forkUtility(args: string[], options: object): UtilityProcess;
  child?: UtilityProcess;
  seen?: unknown[];
}
/** What sample/preload.cjs exposes. */
export interface SampleApi {
  invoke(channel: string, ...args: unknown[]): Promise<unknown>;
  note(text: string): void;
  readonly onNoted: (listener: (text: string) => void) => () => void;
  invokeFunction(): Promise<unknown>;
  fail(): void;
  same(value: unknown): unknown;
  readonly [name: string]: unknown;
}
declare global {
  var sample: SampleApp & SampleApi;
}

export const start = async (options: Partial<Parameters<typeof Launched.start>[0]> = {}): Promise<Launched> => {
  const launched = await Launched.start({ app: SAMPLE, ...options });
  onTestFinished(() => launched.dispose());
  return launched;
};
export const samplePage = async ({ app }: Launched): Promise<Page> => {
  const page = await app.firstWindow(WAIT);
  await page.locator('#heading').waitFor(WAIT);
  return page;
};
export const windowOf = async ({ app }: Launched, page: Page): Promise<JSHandle<ElectronWindow>> =>
  (await app.browserWindow(page)) as JSHandle<ElectronWindow>;
export const eventsOf = ({ app }: Launched): Promise<Seen[]> => app.evaluate(() => sample.events);
export const clearEvents = ({ app }: Launched): Promise<void> =>
  app.evaluate(() => {
    sample.events.length = 0;
  });
