// SPDX-License-Identifier: Apache-2.0
/** What the scenarios of the app need of whatever brings it before a user. */
import type { Page } from 'playwright-core';

export interface RunningApp {
  /** Everything that it keeps is below it. */
  readonly home: string;
  /** The process with the manager. */
  readonly pid: number;
  /** The page as a user has it in front of them, with the list of machines. */
  page(): Promise<Page>;
  /** By SIGTERM it ends in order, without a question. */
  end(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again. */
  open(): Promise<unknown>;
  /** Ends it and removes its home. */
  dispose(): Promise<void>;
}

export interface Vehicle {
  readonly name: string;
  start(): Promise<RunningApp>;
  /** What its user has in front of them, as a PNG; undefined where there is no screen of its own. */
  picture(): Promise<Buffer | undefined>;
  close(): Promise<void>;
}
