// SPDX-License-Identifier: Apache-2.0
/** The two scripts that run in each document before anything of the page: one a world. */
import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { Script } from 'node:vm';
import { START_PAGE } from '../chromium/targets.ts';
import { makeBridge } from './bridge.ts';
import { makeCodec } from './codec.ts';
import { runIsolatedWorld, type IsolatedOptions } from './isolated-world.ts';
import { BINDING, PERFORMED, RECEIVER } from './messages.ts';
import { replaceWindowOpen, watchWindowOpening } from './window-opening.ts';

const BASE64_OF_THE_PAGE = '{ encode: (bytes) => bytes.toBase64(), decode: (text) => Uint8Array.fromBase64(text) }';

export interface PageScripts {
  readonly mainWorld: string;
  readonly isolatedWorld: string;
  /** Why the preload was refused; null when it was not. */
  readonly refusal: Error | null;
}

/** The scripts of a window with that preload. */
export function pageScripts(preloadPath: string | undefined, inSubFrames: boolean): PageScripts {
  // Nobody in the page can guess the names of the events that the two worlds use.
  const toMain = randomUUID();
  const toIsolated = randomUUID();
  const opening = randomUUID();
  const options: IsolatedOptions = {
    startPage: START_PAGE,
    binding: BINDING,
    receiver: RECEIVER,
    inSubFrames,
    performed: PERFORMED.source,
    platform: process.platform,
    versions: {
      electron: process.versions.electron,
      chrome: process.versions.chrome,
      node: process.versions.node,
    },
  };
  const { text, refusal } = readPreload(preloadPath);
  const preload = `(require, process, module, exports) => { (function () {\n${text}\n}).call(undefined) }`;
  const bridge = (out: string, into: string): string =>
    `(${String(makeBridge)})(${JSON.stringify(out)}, ${JSON.stringify(into)})`;
  const codec = `(${String(makeCodec)})(${BASE64_OF_THE_PAGE})`;
  const mainWorld = `${bridge(toIsolated, toMain)}; (${String(replaceWindowOpen)})(${JSON.stringify(opening)});`;
  const watch = `(heard) => (${String(watchWindowOpening)})(${JSON.stringify(opening)}, heard)`;
  const parts = [JSON.stringify(options), codec, bridge(toMain, toIsolated), watch, preload];
  return {
    mainWorld,
    isolatedWorld: `(${String(runIsolatedWorld)})(${parts.join(', ')});`,
    refusal,
  };
}

function readPreload(file: string | undefined): { text: string; refusal: Error | null } {
  if (file === undefined) return { text: '', refusal: null };
  try {
    const text = readFileSync(file, 'utf8');
    // A sandboxed preload is CommonJS: import and export are refused here as there.
    new Script(`(function () {\n${text}\n})`, { filename: file });
    return { text, refusal: null };
  } catch (error) {
    return { text: '', refusal: error instanceof Error ? error : new Error(String(error)) };
  }
}
