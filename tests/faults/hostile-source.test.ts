// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as wire from '../../src-main/machine/engine/stream/wire.ts';
import * as write from '../../src-main/machine/engine/stream/writer.ts';
import { qemuStreams } from '../support/hostile/corpus.ts';
import { Destination, type DestinationOptions } from '../support/hostile/destination.ts';

const MIB = 1024 ** 2;
const memoryBytes = 4 * MIB;
/** Instead of the engine's own, which are seconds. */
const deadlines = { header: 60, lastAnswer: 60 };

let folder = '';
let destination: Destination;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-hostile-'));
});
beforeEach(async () => {
  destination = await Destination.start(options());
});
afterEach(async () => {
  await destination.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function options(): DestinationOptions {
  return { machine: 'none', memoryBytes, folder, deadlines };
}

const start = Buffer.concat([write.header(), write.configuration('none')]);
const ramStart = write.sectionStart(wire.SECTION_START, 1, 'ram', 0, wire.RAM_SECTION_VERSION);
const ramEnd = Buffer.concat([write.ramEndOfSection(), write.sectionFooter(1)]);
const ownRam = write.ramSetup([{ name: 'ram', sizeBytes: memoryBytes }]);

function be64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** A block list whose total is given apart from its blocks. */
function blockList(total: bigint, blocks: readonly { name: string; sizeBytes: number }[]): Buffer {
  const list = write.ramSetup(blocks).subarray(8);
  return Buffer.concat([be64(total | BigInt(wire.RAM_FLAG_MEM_SIZE)), list]);
}

function tinyBlocks(count: number): { name: string; sizeBytes: number }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `b${index}`, sizeBytes: 4096 }));
}

/** Sends the bytes, closes, and answers the sentence that the load ended with. */
async function sentenceFor(bytes: Uint8Array): Promise<string> {
  const peer = await destination.peer();
  peer.end(bytes);
  await destination.migration.finished;
  expect(destination.migration.status).toBe('failed');
  return destination.migration.error?.message ?? '';
}

const refusals: readonly { what: string; bytes: readonly Uint8Array[]; says: RegExp }[] = [
  {
    what: 'a list of very many small RAM blocks',
    bytes: [ramStart, blockList(2n ** 63n, tinyBlocks(2000))],
    says: /^More than 1024 RAM blocks are announced$/,
  },
  {
    what: 'a total of RAM beyond 2^53, exactly as it was sent',
    bytes: [ramStart, blockList(2n ** 64n - 4096n, [{ name: 'ram', sizeBytes: 0 }])],
    says: /^RAM block 'ram' of 0 bytes does not fit the announced total of 18446744073709547520$/,
  },
  {
    what: 'a list of no RAM blocks',
    bytes: [ramStart, blockList(0n, []), ramEnd],
    says: /announces no RAM block 'ram'/,
  },
  {
    what: 'RAM without a list of its blocks',
    bytes: [ramStart, ramEnd, write.endOfStream()],
    says: /without a RAM section/,
  },
  {
    what: 'RAM that starts again and again',
    bytes: [ramStart, ownRam, ramEnd, write.sectionStart(wire.SECTION_START, 2, 'ram', 0, wire.RAM_SECTION_VERSION)],
    says: /^Section 'ram' was started twice$/,
  },
  {
    what: 'an end of the stream before the devices',
    bytes: [ramStart, ownRam, ramEnd, write.endOfStream()],
    says: /^The migration stream ended without section 'timer' 0, which this machine has$/,
  },
  {
    what: 'a part of a section that nobody started',
    bytes: [write.sectionContinue(wire.SECTION_PART, 77)],
    says: /^Unknown savevm section 77$/,
  },
  {
    what: 'a command of the greatest length',
    bytes: [write.command(wire.COMMAND_SWITCHOVER_START, new Uint8Array(65_535))],
    says: /bad length 65535, expected 0/,
  },
  {
    what: 'names that are control sequences',
    bytes: [write.sectionStart(wire.SECTION_FULL, 1, '\u001b[2J\r\n', 0, 1)],
    says: /^Unknown savevm section or instance '\?\[2J\?\?' 0/,
  },
];

describe('a destination whose source is hostile', () => {
  it.each(refusals)('refuses $what', async ({ bytes, says }) => {
    expect(await sentenceFor(Buffer.concat([start, ...bytes]))).toMatch(says);
  });

  it('gives up on a source that asks without end and reads no answer', async () => {
    const peer = await destination.peer(true);
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => write.ping(wire.GODWIT_HELLO)));
    const before = process.memoryUsage.rss();
    peer.write(Buffer.concat([start, write.command(wire.COMMAND_OPEN_RETURN_PATH)]));
    for (let sent = 0; sent < 100 && !peer.destroyed; sent += 1) {
      await Promise.race([new Promise((resolve) => peer.write(pings, resolve)), destination.migration.finished]);
    }
    await destination.migration.finished;
    expect(destination.migration.error?.message).toBe(
      'The source keeps asking and leaves more than 64 KiB of answers unread',
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(90 * MIB);
    peer.destroy();
  });
});

describe('a destination whose source is silent', () => {
  it.each([0, 7])('gives up when it has got %i of the first 8 bytes in time', async (sent) => {
    const peer = await destination.peer();
    peer.write(write.header().subarray(0, sent));
    await destination.migration.finished;
    expect(destination.migration.error).toMatchObject({
      code: 'link',
      message: 'Something connected and sent no migration stream within 0.06 s',
    });
    peer.destroy();
  });

  it.each(['unix', 'tcp'] as const)(
    'waits in the middle of a stream over %s, and ends at once when it is asked to',
    async (transport) => {
      await destination.close();
      destination = await Destination.start({ ...options(), tcp: transport === 'tcp' });
      const [stream] = qemuStreams();
      if (stream === undefined) throw new Error('there is no capture');
      const peer = await destination.peer();
      peer.write(stream.bytes.subarray(0, 100_000));
      await pause(5 * deadlines.header); // a time-out would show in this time
      expect(destination.migration).toMatchObject({ status: 'active', phase: 'loading' });
      const asked = performance.now();
      await destination.migration.close();
      expect(performance.now() - asked).toBeLessThan(1000);
      expect(destination.migration.error?.code).toBe('cancelled');
      peer.destroy();
    },
  );
});
