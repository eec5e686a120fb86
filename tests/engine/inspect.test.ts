// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectStream } from '../../src-main/machine/inspect/inspect.ts';
import type { InspectReport, SectionReport } from '../../src-main/machine/inspect/report.ts';
import { inspectText } from '../../src-main/shells/cli/inspect-text.ts';
import { bytesOf, capturedStream, capturedStreams } from '../support/captured-streams.ts';
import { skipWithoutKvm } from '../support/skip-without-kvm.ts';
import { MigrationRig } from '../support/migration-rig.ts';
import { seeded } from '../unit/vmstate/seeded.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-inspect-test-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const names = capturedStreams.map(({ name }) => name);
const precopyNames = names.filter((name) => !name.includes('postcopy'));
const described = (report: InspectReport): SectionReport[] => report.sections.filter(({ payload }) => payload);
const section = (report: InspectReport, idstr: string): SectionReport | undefined =>
  report.sections.find((candidate) => candidate.idstr === idstr);
const value = (report: InspectReport, idstr: string, path: string): unknown =>
  section(report, idstr)?.payload?.fields.find((field) => field.path === path)?.value;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A stream of the test's own making. */
function streamFile(bytes: Uint8Array, name = 'stream.bin'): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function inspectBytes(bytes: Uint8Array): Promise<InspectReport> {
  return inspectStream({ file: streamFile(bytes) });
}

describe.each(capturedStreams)('$name', ({ name, path, ramSha256 }) => {
  it('gives the RAM that its source had', async () => {
    const image = join(folder, `${name}.ram`);
    const report = await inspectStream({ file: path, image });
    expect(report.error).toBeUndefined();
    expect(report.image).toMatchObject({ path: image, sha256: ramSha256 });
    expect(sha256(readFileSync(image))).toBe(ramSha256);
    const status = statSync(image);
    expect(status.mode & 0o777).toBe(0o600);
    const largest = Math.max(...(report.ram?.blocks ?? []).map(({ usedBytes }) => usedBytes));
    expect(status.size).toBe(largest);
  });

  it('is accounted for to the last byte', async () => {
    const report = await inspectStream({ file: path });
    const elements = [
      { offset: 0, length: 8 },
      ...[report.configuration!, ...report.commands, ...report.sections],
      { offset: report.endOffset!, length: 1 },
      ...(report.vmdescription === undefined ? [] : [report.vmdescription]),
    ].sort((a, b) => a.offset - b.offset);
    let end = 0;
    for (const element of elements) {
      expect(element.offset).toBe(end);
      end += element.length;
    }
    expect(end).toBe(report.bytes);
    expect(report.bytes).toBe(bytesOf(capturedStream(name)).length);
  });

  it('has statistics that fit its blocks', async () => {
    const { ram } = await inspectStream({ file: path });
    for (const block of ram!.blocks) {
      // The first pass sends every page.
      expect(block.pages).toBe(block.usedBytes / 4096);
      expect(block.normal + block.zero + block.xbzrle + block.compressed).toBeGreaterThanOrEqual(block.pages);
    }
    const records = (form: 'xbzrle' | 'compressed'): number => ram!.blocks.reduce((sum, block) => sum + block[form], 0);
    expect(records('xbzrle') > 0).toBe(name.includes('xbzrle'));
    expect(records('compressed') > 0).toBe(name.includes('compress'));
    const manyPasses = /microvm-(precopy|xbzrle|postcopy)/.test(name);
    if (manyPasses) expect(ram!.rounds).toBeGreaterThan(2);
    else expect(ram!.rounds).toBe(1);
  });

  it('ends with a place and a reason wherever it is cut', async () => {
    const bytes = bytesOf(capturedStream(name));
    const random = seeded(name.length);
    const { vmdescription } = await inspectStream({ file: path });
    for (let round = 0; round < 12; round++) {
      const cut = random.below(bytes.length);
      const report = await inspectBytes(bytes.subarray(0, cut));
      const context = `seed ${random.seed}, cut at ${cut}`;
      // Just before the description lies a whole stream.
      if (cut === vmdescription?.offset) continue;
      expect(report.error, context).toBeDefined();
      expect(report.error!.offset, context).toBeLessThanOrEqual(cut);
      expect(report.error!.reason, context).toMatch(/^[^\n]{10,}$/);
      expect(inspectText(report, false), context).toMatch(/not complete|damaged behind its end/);
    }
  });

  it('never brings the reader down when bytes are damaged', async () => {
    const bytes = bytesOf(capturedStream(name));
    const random = seeded(100 + name.length);
    for (let round = 0; round < 12; round++) {
      const damaged = Buffer.from(bytes);
      for (let left = 1 + random.below(4); left > 0; left--) {
        // What is not RAM lies at both ends.
        const near = random.below(3);
        const place = random.below(near === 2 ? bytes.length : Math.min(bytes.length, 3000));
        damaged[near === 1 ? bytes.length - 1 - place : place] = random.word() & 0xff;
      }
      const report = await inspectBytes(damaged);
      if (report.error !== undefined)
        expect(report.error.offset, `seed ${random.seed}`).toBeLessThanOrEqual(bytes.length);
      expect(inspectText(report, false)).not.toMatch(/[^\P{C}\n]/u);
    }
  });
});

describe('devices', () => {
  it.each(precopyNames)('of %s are all decoded by the description', async (name) => {
    const report = await inspectStream({ file: capturedStream(name).path });
    expect(described(report).length).toBe(report.vmdescription!.devices);
    for (const { idstr, payload } of described(report)) {
      expect(payload!.decodedBy, idstr).toBe('description');
      expect(payload!.fieldsOmitted).toBe(0);
      for (const field of payload!.fields) expect(field.offset + field.size).toBeLessThanOrEqual(payload!.length);
    }
    expect(report.notes).toEqual([]);
  });

  it.each(['q72-pc-precopy', 'q100-pc-precopy'])('of a PC (%s) have their values', async (name) => {
    const report = await inspectStream({ file: capturedStream(name).path });
    expect(report.configuration?.machine).toBe('pc-i440fx-7.2');
    const idstrs = described(report).map(({ idstr, instance }) => `${idstr}/${instance}`);
    for (const idstr of ['cpu/0', 'i8259/1', 'hpet/0', '0000:00:01.1/ide/0', '0000:00:01.3/piix4_pm/0']) {
      expect(idstrs).toContain(idstr);
    }
    expect(value(report, 'cpu', 'env.eip')).toBe(0xfff0n);
    expect(value(report, 'cpu', 'env.segs[1].base')).toBe(0xffff0000n);
    expect(value(report, 'ioapic', 'ioredtbl[23]')).toBe(0x10000n);
    expect(value(report, 'hpet', 'timer[2].qemu_timer')).toBe(-1n);
    expect(value(report, 'PCIBUS', 'nirq')).toBe(4);
    expect(value(report, 'fw_cfg', 'fw_cfg/acpi_mr: table_mr_size')).toBe(0x20000n);
    const config = value(report, '0000:00:00.0/I440FX', 'parent_obj.config[0]') as Uint8Array;
    expect(Buffer.from(config.subarray(0, 4)).toString('hex')).toBe('86803712');
    const runState = Buffer.from(value(report, 'globalstate', 'runstate') as Uint8Array).toString('latin1');
    expect(runState).toMatch(/^prelaunch\0/);
  });

  it.each(precopyNames)('of %s are found without the description, and ours are decoded', async (name) => {
    const bytes = bytesOf(capturedStream(name));
    const whole = await inspectBytes(bytes);
    const report = await inspectBytes(bytes.subarray(0, whole.vmdescription!.offset));
    expect(report.error).toBeUndefined();
    const places = (of: InspectReport): unknown[] =>
      described(of).map(({ idstr, offset, length }) => ({ idstr, offset, length }));
    expect(places(report)).toEqual(places(whole));
    const byTable = new Set(['timer', 'cpu_common', 'cpu', 'serial', 'globalstate']);
    for (const { idstr, payload } of described(report)) {
      expect(payload!.decodedBy, idstr).toBe(byTable.has(idstr) ? 'table' : 'footer');
    }
    const cpu = section(whole, 'cpu')?.payload?.fields;
    if (cpu !== undefined) expect(section(report, 'cpu')?.payload?.fields).toEqual(cpu);
    const undecoded = described(report).filter(({ payload }) => payload!.decodedBy === 'footer');
    for (const { idstr, payload } of undecoded) {
      expect(report.notes.join()).toContain(`${idstr} at byte ${payload!.offset}`);
    }
  });

  it('that a wrong description does not fit are read in other ways', async () => {
    const bytes = bytesOf(capturedStream('q72-none-precopy'));
    const text = bytes.toString('latin1').replace('"size": 100}', '"size": 101}');
    const report = await inspectBytes(Buffer.from(text, 'latin1'));
    expect(report.error).toBeUndefined();
    expect(section(report, 'globalstate')?.payload?.decodedBy).toBe('table');
    expect(report.notes[0]).toMatch(/^section 'globalstate' at byte \d+: the description .* does not fit it$/);
  });
});

describe('postcopy', () => {
  it.each(['q72-microvm-postcopy', 'q100-microvm-postcopy'])(
    '%s shows its package and what it discards',
    async (name) => {
      const report = await inspectStream({ file: capturedStream(name).path });
      const commands = report.commands.map((command) => `${command.packaged ? '·' : ''}${command.name}`);
      expect(commands.filter((command) => !command.endsWith('PING'))).toEqual([
        'OPEN_RETURN_PATH',
        'POSTCOPY_ADVISE',
        ...(name.startsWith('q100') ? ['SWITCHOVER_START'] : []),
        'POSTCOPY_RAM_DISCARD',
        'PACKAGED',
        '·POSTCOPY_LISTEN',
        '·POSTCOPY_RUN',
      ]);
      expect(described(report).every(({ packaged }) => packaged)).toBe(true);
      const discard = report.commands.find((command) => command.name === 'POSTCOPY_RAM_DISCARD');
      expect(discard?.details.block).toBe('microvm.ram');
      expect(report.sections.at(-1)).toMatchObject({ type: 'end', idstr: 'ram', packaged: false });
      expect(value(report, 'serial', 'state.lsr')).toBeDefined();
    },
  );
});

describe('configuration', () => {
  it.each(['q72-none-subsections', 'q100-none-subsections'])('of %s has capabilities and uuid', async (name) => {
    const { configuration, ram } = await inspectStream({ file: capturedStream(name).path });
    expect(configuration?.subsections).toEqual([
      { name: 'configuration/capabilities', version: 1, capabilities: ['x-ignore-shared'] },
      { name: 'configuration/uuid', version: 1, uuid: '00112233-4455-6677-8899-aabbccddeeff' },
    ]);
    expect(ram?.blocks[0]).toMatchObject({ name: 'ram', guestAddress: 0 });
  });
});

describe('a stream between two Godwits', () => {
  it('is read to its end, and its RAM is what the destination has', async (context) => {
    skipWithoutKvm(context);
    const rig = await MigrationRig.start({ memoryBytes: 32 * 1024 ** 2, paused: true });
    try {
      const recorder = await record(
        join(rig.source.process.folder, 'tee.sock'),
        join(rig.destination.process.folder, 'migration.sock'),
      );
      const outcome = rig.outcome();
      await rig.source.ask('migrate', { uri: `unix:${recorder.path}` });
      expect(await outcome).toBe('completed');
      const memory = join(folder, 'destination.ram');
      await rig.destination.ask('pmemsave', { val: 0, size: 32 * 1024 ** 2, filename: memory });
      const image = join(folder, 'stream.ram');
      const report = await inspectStream({ file: streamFile(recorder.bytes(), 'godwit.bin'), image });
      recorder.close();
      expect(report.error).toBeUndefined();
      expect(report.notes).toEqual([]);
      expect(described(report).map(({ payload }) => payload!.decodedBy)).not.toContain('footer');
      expect(report.commands.at(-1)?.name).toBe('GODWIT_GO');
      expect(report.image?.sha256).toBe(sha256(readFileSync(memory)));
    } finally {
      await rig.dispose();
    }
  });
});

describe('the image', () => {
  it('never overwrites the stream, not even through a link', async () => {
    const file = streamFile(bytesOf(capturedStream('q72-none-norp')), 'precious.bin');
    const link = join(folder, 'link');
    symlinkSync(file, link);
    for (const image of [file, link]) {
      await expect(inspectStream({ file, image })).rejects.toThrow(/would overwrite the stream/);
    }
    expect(statSync(file).size).toBe(bytesOf(capturedStream('q72-none-norp')).length);
  });

  it('is not written when the stream is damaged, and holes of the memory are holes of the file', async () => {
    const bytes = bytesOf(capturedStream('q72-none-precopy'));
    const image = join(folder, 'partial.ram');
    const report = await inspectStream({ file: streamFile(bytes.subarray(0, 9000)), image });
    expect(report.error).toBeDefined();
    expect(existsSync(image)).toBe(false);
    await inspectStream({ file: streamFile(bytes), image });
    // 4 MiB, of which 48 pages are not zero.
    expect(statSync(image).blocks * 512).toBeLessThanOrEqual(64 * 4096);
  });
});

describe('gzip', () => {
  it('that is cut says how far it could be decompressed, and leaves nothing behind', async () => {
    const whole = gzipSync(bytesOf(capturedStream('q72-none-precopy')));
    const file = streamFile(whole.subarray(0, 150_000), 'cut.gz');
    await expect(inspectStream({ file })).rejects.toThrow(/gzip data behind byte \d{5,} of the stream cannot/);
    const left = readdirSync(tmpdir()).filter((name) => /^godwit-inspect-(?!test)/.test(name));
    expect(left).toEqual([]);
  });
});

describe('godwit inspect', () => {
  const run = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const main = join(import.meta.dirname, '..', '..', 'src-main', 'shells', 'cli', 'main.ts');
      execFile(process.execPath, [main, 'inspect', ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });

  it('prints what a person can read', async () => {
    const { code, stdout, stderr } = await run(capturedStream('q72-microvm-xbzrle').path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ {2}machine +microvm$/m);
    expect(stdout).toMatch(/^ {2}microvm\.ram +8 MiB +2,048 +30 +2,026 +8 +0$/m);
    expect(stdout).toMatch(/^cpu: version 12, .* decoded by the stream's description$/m);
  });

  it('prints one JSON document, with the image beside it', async () => {
    const { name, path, ramSha256 } = capturedStream('q100-none-precopy');
    const image = join(folder, `${name}.cli.ram`);
    const { code, stdout, stderr } = await run(path, '--json', '--ram', image);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const document = JSON.parse(stdout) as Record<string, unknown>;
    expect(document).toMatchObject({ version: 3, configuration: { machine: 'none' }, image: { sha256: ramSha256 } });
    expect(sha256(readFileSync(image))).toBe(ramSha256);
  });

  it('exits with 1 and says where a stream is damaged, behind what it could read', async () => {
    const file = streamFile(bytesOf(capturedStream('q72-none-norp')).subarray(0, 5000), 'short.bin');
    const plain = await run(file);
    expect(plain.code).toBe(1);
    expect(plain.stdout).toContain('not complete: see byte 5000');
    const line = `godwit: ${file}: byte 5000: the stream ends inside the PART section 'ram', which begins at byte 67\n`;
    expect(plain.stderr).toBe(line);
    const json = await run(file, '--json');
    expect(json).toMatchObject({ code: 1, stderr: line });
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { offset: 5000 } });
  });

  it('reads further channels, each told by an option of its own', async () => {
    const at = join(import.meta.dirname, '..', 'fixtures', 'channels', 'q72-none-multifd-zlib');
    const [main = '', ...channels] = ['main.bin', 'multifd-c1.bin', 'multifd-c2.bin'].map((name) => join(at, name));
    const { code, stdout } = await run(main, ...channels.flatMap((path) => ['--channel', path]), '--json');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as InspectReport;
    expect(report.channels?.map(({ kind, file }) => [kind, channels.includes(file)])).toEqual([
      ['multifd', true],
      ['multifd', true],
    ]);
    expect(report.ram?.blocks.every(({ pages, usedBytes }) => pages === usedBytes / 4096)).toBe(true);
  });

  it.each([
    [['/nonexistent'], 1, /^godwit: cannot open the stream: ENOENT.*\n$/],
    [['/dev/null'], 1, /^godwit: \/dev\/null is not a regular file.*\n$/],
    [['/dev/null', '--channel'], 2, /^godwit: option '--channel <file>' argument missing.*\n$/],
    [[capturedStream('q72-none-norp').path, '--channel', '/nonexistent'], 1, /^godwit: .*ENOENT.*'\/nonexistent'\n$/],
    [[], 2, /^godwit: missing required argument 'file'.*\n$/],
  ])('refuses %j with exit code %i', async (args, code, says) => {
    const result = await run(...args);
    expect(result).toMatchObject({ code, stdout: '' });
    expect(result.stderr).toMatch(says);
  });
});

interface Recorder {
  readonly path: string;
  bytes(): Buffer;
  close(): void;
}

/** Passes a connection on and keeps what its source sends. */
async function record(path: string, destination: string): Promise<Recorder> {
  const chunks: Buffer[] = [];
  const server = createServer((source) => {
    const link = connect(destination);
    source.on('data', (chunk: Buffer) => chunks.push(chunk));
    source.pipe(link).pipe(source);
    for (const socket of [source, link]) socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, bytes: () => Buffer.concat(chunks), close: () => server.close() };
}
