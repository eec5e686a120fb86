// SPDX-License-Identifier: Apache-2.0
/** Saved migrations with more than one channel: multifd, urgent pages, recoveries. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, deflateSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectStream } from '../../src-main/machine/inspect/inspect.ts';
import type { InspectReport } from '../../src-main/machine/inspect/report.ts';
import { inspectText } from '../../src-main/shells/cli/inspect-text.ts';
import { seeded } from '../unit/vmstate/seeded.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures', 'channels');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-channels-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Capture {
  readonly name: string;
  readonly ramSha256: string;
  readonly main: string;
  readonly channels: readonly string[];
}

const captures: readonly Capture[] = readFileSync(join(fixtures, 'ram-images.sha256'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [ramSha256 = '', name = ''] = line.split(/\s+/);
    const files = readdirSync(join(fixtures, name)).sort();
    const path = (file: string): string => join(fixtures, name, file);
    return {
      name,
      ramSha256,
      main: path(files.find((file) => file.startsWith('main.bin')) ?? ''),
      channels: files.filter((file) => !file.startsWith('main.bin')).map(path),
    };
  });

function capture(name: string): Capture {
  const found = captures.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`there is no capture ${name}`);
  return found;
}

const inspect = ({ main, channels }: Pick<Capture, 'main' | 'channels'>, image?: string): Promise<InspectReport> =>
  inspectStream({ file: main, channels, ...(image !== undefined && { image }) });

function bytesOf(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** The capture with other bytes for one of its channels. */
function withChannel(of: Capture, index: number, bytes: Uint8Array): Capture {
  const path = join(folder, 'channel.bin');
  writeFileSync(path, bytes);
  return { ...of, channels: of.channels.with(index, path) };
}

describe.each(captures)('$name', (given) => {
  it('gives the RAM that its source had, in whatever order its channels are named', async () => {
    const recoveries = given.channels.filter((path) => path.includes('main-resume'));
    const others = given.channels.filter((path) => !recoveries.includes(path));
    for (const channels of [given.channels, [...recoveries, ...others.reverse()]]) {
      const report = await inspect({ ...given, channels }, join(folder, 'image.ram'));
      expect(report.error).toBeUndefined();
      expect(report.image?.sha256).toBe(given.ramSha256);
      // Every page of every block came over one of the channels.
      expect(report.ram?.blocks.map(({ pages }) => pages * 4096)).toEqual(
        report.ram?.blocks.map(({ usedBytes }) => usedBytes),
      );
      expect(report.notes.filter((note) => note.includes('without a record'))).toEqual([]);
    }
  });

  it('says what each channel is', async () => {
    const report = await inspect(given);
    expect(report.channels).toHaveLength(given.channels.length);
    for (const channel of report.channels ?? []) {
      const kind = channel.file.includes('main-resume')
        ? 'resumed'
        : channel.file.includes('preempt')
          ? 'preempt'
          : 'multifd';
      expect(channel.kind).toBe(kind);
      expect(channel.bytes).toBe(bytesOf(channel.file).length);
    }
    const text = inspectText(report, false);
    expect(text).toContain('Channels\n');
    expect(text).toMatch(/state +complete/);
    expect(text).not.toContain('pages are on other channels');
  });

  it('ends with a file, a place and a reason when a channel is cut', async () => {
    const random = seeded(given.name.length);
    for (const [index, path] of given.channels.entries()) {
      const bytes = bytesOf(path);
      for (let round = 0; round < 5; round++) {
        const cut = 100 + random.below(bytes.length - 120);
        const report = await inspect(withChannel(given, index, bytes.subarray(0, cut)));
        const context = `seed ${random.seed}, ${path} cut at ${cut}`;
        // Urgent pages and nothing else: between two of them it may end.
        if (path.includes('preempt-c') && report.error === undefined) continue;
        expect(report.error?.reason, context).toMatch(/^[^\n]{10,}$/);
        // A recovered stream that is cut again is continued by nothing here.
        expect(report.error?.file, context).toBe(join(folder, 'channel.bin'));
        expect(report.error?.offset, context).toBeLessThanOrEqual(cut);
      }
    }
  });

  it('never brings the reader down when bytes are damaged', async () => {
    const random = seeded(100 + given.name.length);
    for (const [index, path] of given.channels.entries()) {
      const bytes = bytesOf(path);
      for (let round = 0; round < 5; round++) {
        const damaged = Buffer.from(bytes);
        // Heads are where damage tells most.
        const place = round < 3 ? random.below(Math.min(bytes.length, 1500)) : random.below(bytes.length);
        damaged[place] = random.word() & 0xff;
        const outcome = await inspect(withChannel(given, index, damaged)).catch((error: unknown) => error);
        const context = `seed ${random.seed}, ${path} damaged at ${place}`;
        if (outcome instanceof Error) expect(outcome.message, context).toMatch(/^\S.*channel\.bin|multifd channel/);
        else expect(outcome, context).toHaveProperty('commands');
      }
    }
  });
});

describe('channels that do not belong together', () => {
  it('are refused by name', async () => {
    const multifd = capture('q72-none-multifd-zlib');
    const reports = (await inspect(multifd)).channels ?? [];
    expect(reports.map((channel) => ('id' in channel ? channel.id : -1))).toEqual([0, 1]);
    const [zero = '', one = ''] = reports.map(({ file }) => file);
    await expect(inspect({ ...multifd, channels: [one, zero, one] })).rejects.toThrow(
      `${one} and ${one} are both multifd channel 1`,
    );
    await expect(inspect({ ...multifd, channels: [one] })).rejects.toThrow(
      'multifd channel 0 is missing: give its file',
    );
    await expect(inspect({ ...multifd, channels: [multifd.main] })).rejects.toThrow(
      `${multifd.main} is a main channel: there can be one only`,
    );
    const text = join(folder, 'text');
    writeFileSync(text, 'no channel at all');
    await expect(inspect({ ...multifd, channels: [text] })).rejects.toThrow(`${text} is no channel of a migration`);
    writeFileSync(text, Buffer.from('1603010200010001fc0303', 'hex'));
    await expect(inspect({ ...multifd, channels: [text] })).rejects.toThrow(`${text} is encrypted (TLS)`);
  });

  it('are told where one has fewer syncs than the main channel, or more', async () => {
    const given = capture('q100-microvm-multifd');
    const other = capture('q100-none-multifd-zlib');
    const fewer = await inspect({ ...given, channels: other.channels });
    expect(fewer.error?.reason).toMatch(/which was not announced|ends before its sync/);
    const more = await inspect({ ...other, channels: given.channels });
    expect(more.error?.reason).toMatch(/which was not announced|which the main channel does not have/);
  });

  it('leave the stream without an image where they are needed and not given', async () => {
    const given = capture('q100-none-multifd-zstd');
    await expect(inspect({ ...given, channels: [] }, join(folder, 'none.ram'))).rejects.toThrow(
      'the pages of this stream are on its multifd channels: give their files with --channel. No RAM image was written',
    );
  });

  it('cannot be overwritten by the image', async () => {
    const given = capture('q100-none-multifd-zstd');
    const copy = withChannel(given, 0, bytesOf(given.channels[0] ?? ''));
    await expect(inspect(copy, copy.channels[0])).rejects.toThrow(/would overwrite the stream/);
  });

  it('that change their compression on the way are refused', async () => {
    const given = capture('q72-none-multifd-zlib');
    const bytes = bytesOf(given.channels[1] ?? '');
    const packets: number[] = [];
    for (let at = 64; at < bytes.length;) {
      const normal = bytes.readUInt32BE(at + 16);
      if (normal > 0) packets.push(at);
      at += 1344 + (normal > 0 ? bytes.readUInt32BE(at + 20) : 0);
    }
    const second = packets[1] ?? 0;
    bytes.writeUInt32BE((bytes.readUInt32BE(second + 8) & ~0x3e) | 0x04, second + 8);
    const { error } = await inspect(withChannel(given, 1, bytes));
    expect(error).toMatchObject({
      offset: second,
      reason: 'the packet is compressed by zstd, those before it by zlib',
    });
  });

  it('that would fill the memory when they are decompressed are refused at once', async () => {
    const given = capture('q72-none-multifd-zlib');
    const bomb = deflateSync(Buffer.alloc(64 << 20), { finishFlush: constants.Z_SYNC_FLUSH });
    const bytes = bytesOf(given.channels[0] ?? '');
    // The first packet with pages gets data that becomes 64 MiB.
    let at = 64;
    while (bytes.readUInt32BE(at + 16) === 0) at += 1344;
    const head = Buffer.from(bytes.subarray(at, at + 1344));
    head.writeUInt32BE(128, 16);
    head.writeUInt32BE(bomb.length, 20);
    const report = await inspect(withChannel(given, 0, Buffer.concat([bytes.subarray(0, at), head, bomb])));
    expect(report.error?.reason).toMatch(/cannot be decompressed: it becomes more than its pages|announces/);
  });
});
