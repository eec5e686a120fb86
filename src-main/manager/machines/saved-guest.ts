// SPDX-License-Identifier: Apache-2.0
/** A guest in a file: how it gets back into a machine. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '../../../src-shared/call-error.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import { SAMPLE_INTERVAL_MS } from '../deadlines.ts';
import { sentenceOf } from './machine-entry.ts';
import type { LiveMachine } from './live-machine.ts';

/** First bytes of every migration stream. */
const MAGIC = Buffer.from('QEVM');

/** As `migrate` and `migrate-incoming` take it: no path can be taken for something else. */
export function fileChannels(filename: string): readonly Readonly<Record<string, unknown>>[] {
  return [{ 'channel-type': 'main', addr: { transport: 'file', filename, offset: 0 } }];
}

/** Refuses a file that holds no guest, before a process is started for it. Throws a CallError. */
export async function checkSavedGuest(file: string): Promise<void> {
  let begins: Buffer;
  try {
    // Not to wait for the writer of a pipe.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) throw new CallError('refused', `${file} is not a file.`);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
      begins = buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof CallError) throw error;
    throw new CallError('refused', `${file} cannot be read: ${sentenceOf(error)}.`, { cause: error });
  }
  if (!begins.equals(MAGIC)) throw new CallError('refused', `${file} holds no saved machine.`);
}

/**
 * Lets a machine that waits load the guest, which then runs, or stays stopped if it was. Ends the machine and throws a
 * CallError when it cannot; the file is as it was.
 */
export async function restoreGuest(live: LiveMachine, file: string): Promise<void> {
  try {
    await live.link.execute('migrate-incoming', { channels: fileChannels(file), 'exit-on-error': false });
    for (;;) {
      const { info } = await live.link.migration();
      if (info.status === 'failed') throw new Error(info['error-desc'] ?? 'the stream could not be loaded');
      if (info.status === 'completed' && (await live.link.runState()) !== 'inmigrate') break;
      await sleep(SAMPLE_INTERVAL_MS);
    }
    await live.look();
  } catch (error) {
    await live.dispose();
    const reason = plainText(sentenceOf(error))
      .replace(/^load of migration failed: /, '')
      .replace(/\.$/, '');
    throw new CallError('failed', `The guest in ${file} was not loaded: ${reason}. The file is as it was.`, {
      cause: error,
    });
  }
}
