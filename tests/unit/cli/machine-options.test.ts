// SPDX-License-Identifier: Apache-2.0
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { defineMachineOptions, parseMachineOptions } from '../../../src-main/machine/host/options.ts';
import type { MachineOptions } from '../../../src-main/machine/host/machine-options.ts';
import { machineArguments } from '../../../src-main/manager/machines/builtin.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';

const MIB = 1024 ** 2;

function parse(argv: readonly string[]): MachineOptions {
  const command = defineMachineOptions(new Command('machine')).exitOverride();
  command.parse([...argv], { from: 'user' });
  return parseMachineOptions(command.opts());
}

const QMP = ['--qmp', 'unix:/run/a.sock'];

describe('machine options', () => {
  test('have the defaults that the documentation names', () => {
    expect(parse([...QMP, '--guest', 'demo'])).toEqual({
      qmp: ['/run/a.sock'],
      name: undefined,
      machine: 'microvm',
      memoryBytes: 256 * MIB,
      cpus: 1,
      cpu: 'x86-64-v2',
      guest: { kind: 'demo', dirtyRate: 20000, workingSetBytes: 128 * MIB, seed: 1n },
      load: [],
      incoming: undefined,
      serial: undefined,
      paused: false,
      hugePageBytes: undefined,
      uuid: undefined,
      onlyMigratable: false,
      dirtyRingSize: undefined,
      streamForm: { sendConfiguration: true, sendSectionFooter: true, storeGlobalState: true },
    } satisfies MachineOptions);
  });

  test('are all read', () => {
    const argv = [
      ...['--qmp', 'unix:/run/a.sock', '--qmp', 'unix:/run/b.sock', '--name', 'db1', '--machine', 'microvm'],
      ...['--memory', '64M', '--cpus', '16', '--cpu', 'host'],
      ...[
        '--serial',
        'file:/tmp/s',
        '--paused',
        '--huge-pages',
        '2M',
        '--only-migratable',
        '--dirty-ring-size',
        '4096',
      ],
      ...['--uuid', '12345678-ABCD-ef01-2345-6789abcdef01'],
    ];
    expect(parse(argv)).toMatchObject({
      qmp: ['/run/a.sock', '/run/b.sock'],
      name: 'db1',
      memoryBytes: 64 * MIB,
      cpus: 16,
      cpu: 'host',
      serial: { kind: 'file', path: '/tmp/s' },
      paused: true,
      hugePageBytes: 2 * MIB,
      uuid: '12345678-abcd-ef01-2345-6789abcdef01',
      onlyMigratable: true,
      dirtyRingSize: 4096,
    });
  });

  test('of a machine without vCPUs leave the vCPUs out', () => {
    expect(parse([...QMP, '--machine', 'none', '--memory', '4M', '--incoming', 'tcp:127.0.0.1:0'])).toMatchObject({
      machine: 'none',
      cpus: 0,
      incoming: { kind: 'uri', uri: 'tcp:127.0.0.1:0' },
    });
    expect(parse([...QMP, '--machine', 'none', '--load', 'a@b@0x100000', '--load', 'c@2M'])).toMatchObject({
      machine: 'none',
      load: [
        { file: 'a@b', address: 0x100000 },
        { file: 'c', address: 2 * MIB },
      ],
    });
  });

  test.each<[string[], string]>([
    [[], '--qmp unix:PATH is missing: a machine is driven through that socket'],
    [['--qmp', '/run/a.sock'], '--qmp "/run/a.sock" is not understood: write it as unix:PATH'],
    [[...QMP, ...QMP], '--qmp was given the same path twice: use two paths'],
    [[...QMP, '--qmp', 'unix:b', '--qmp', 'unix:c'], '--qmp may be given twice at most'],
    [[...QMP, '--machine', 'pc'], '--machine "pc" is not known: use none or microvm'],
    [[...QMP, '--memory', '300X'], '--memory "300X" is not a size: write it as 256M or 4G'],
    [[...QMP, '--memory', '256'], '--memory "256" is too small (bytes; did you mean 256M?): give 1M to 1T'],
    [[...QMP, '--memory', '4K'], '--memory "4K" is too small: give 1M to 1T'],
    [[...QMP, '--memory', '2T'], '--memory "2T" is too large: give 1M to 1T'],
    [[...QMP, '--memory', '1048577'], '--memory "1048577" is not a multiple of 4K'],
    [[...QMP, '--cpus', '0'], '--cpus "0" is not a whole number from 1 to 16'],
    [[...QMP, '--cpus', '17'], '--cpus "17" is not a whole number from 1 to 16'],
    [[...QMP, '--cpus', '1.5'], '--cpus "1.5" is not a whole number from 1 to 16'],
    [[...QMP, '--cpu', 'pentium'], '--cpu "pentium" is not known: use x86-64-v2, x86-64-v3, host'],
    [[...QMP, '--guest', 'linux'], '--guest "linux" is not known: the one guest is demo'],
    [[...QMP, '--guest', 'demo,speed=1'], '--guest demo has no setting "speed": use dirty-rate, working-set or seed'],
    [[...QMP, '--guest', 'demo,seed'], '--guest demo: seed has no value: write it as seed=VALUE'],
    [[...QMP, '--guest', 'demo,seed=1,seed=2'], '--guest demo: seed is given twice'],
    [[...QMP, '--guest', 'demo,seed=x'], '--guest demo: seed "x" is not a number of 64 bits'],
    [
      [...QMP, '--guest', 'demo,dirty-rate=fast'],
      '--guest demo: dirty-rate "fast" is not a whole number from 0 to 10000000',
    ],
    [
      [...QMP, '--guest', 'demo,working-set=256M'],
      '--guest demo: working-set "256M" does not fit into 256M of memory: make it smaller',
    ],
    [[...QMP, '--load', 'kernel'], '--load "kernel" is not understood: write it as FILE@ADDRESS'],
    [[...QMP, '--load', 'kernel@here'], '--load "kernel@here": "here" is not an address: write it as 0x100000 or 1M'],
    [[...QMP, '--load', 'kernel@1G'], '--load "kernel@1G": the address lies beyond 256M of memory'],
    [[...QMP, '--incoming', 'later'], '--incoming "later" is not understood: use defer, tcp:HOST:PORT or unix:PATH'],
    [[...QMP, '--serial', 'tty'], '--serial "tty" is not understood: use file:PATH or stdio'],
    [[...QMP, '--huge-pages', '1G'], '--huge-pages "1G" is not supported: use 2M'],
    [
      [...QMP, '--memory', '3M', '--huge-pages', '2M'],
      '--huge-pages 2M needs memory in multiples of 2M: change --memory',
    ],
    [[...QMP, '--uuid', '1'], '--uuid "1" is not a UUID: make one with uuidgen'],
    [[...QMP, '--dirty-ring-size', '3000'], '--dirty-ring-size "3000" is not a power of two: use 1024, 2048, … 65536'],
    [[...QMP, '--dirty-ring-size', '64'], '--dirty-ring-size "64" is not a whole number from 1024 to 65536'],
    [[...QMP, '--name', 'a\u001b[2J'], '--name must have 1 to 255 printable characters'],
    [[...QMP], 'nothing to run: give --guest demo, --incoming defer or --paused'],
    [
      [...QMP, '--guest', 'demo', '--incoming', 'defer'],
      '--guest and --incoming exclude each other: the guest arrives with the migration',
    ],
    [
      [...QMP, '--machine', 'none', '--cpus', '2'],
      '--cpus needs a machine with vCPUs: leave it out, or use --machine microvm',
    ],
    [
      [...QMP, '--guest', 'demo', '--load', 'a@0'],
      '--load needs --machine none: the demo guest of a microvm owns all of its RAM',
    ],
    [
      [...QMP, '--machine', 'none', '--load', 'a@0', '--incoming', 'defer'],
      '--load and --incoming exclude each other: memory arrives with the migration',
    ],
  ])('refuse %j in one sentence', (argv, sentence) => {
    let thrown: unknown;
    try {
      parse(argv);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(UsageError);
    expect((thrown as UsageError).message).toBe(sentence);
  });

  test('refuse a socket path that the kernel cannot hold', () => {
    expect(() => parse(['--qmp', `unix:/${'x'.repeat(107)}`])).toThrow(
      'the path of a unix socket has at most 107 bytes',
    );
  });
});

describe('what the manager asks of a machine process', () => {
  const sockets = { qmpPath: '/r/q', userQmpPath: '/r/u', serialPath: '/r/s' };

  test('is understood by the machine process as it was meant', () => {
    const argv = machineArguments(
      {
        name: 'source',
        machine: 'microvm',
        memoryBytes: 256 * MIB,
        cpus: 2,
        cpu: 'x86-64-v3',
        guest: { dirtyRate: 1234, workingSetBytes: 64 * MIB, seed: 0xffff_ffff_ffff_ffffn },
        paused: true,
        hugePages: '2M',
        dirtyRingSize: 1024,
        onlyMigratable: true,
        leaveOut: ['send-section-footer'],
      },
      sockets,
    );
    expect(parse(argv)).toEqual({
      qmp: ['/r/q', '/r/u'],
      name: 'source',
      machine: 'microvm',
      memoryBytes: 256 * MIB,
      cpus: 2,
      cpu: 'x86-64-v3',
      guest: { kind: 'demo', dirtyRate: 1234, workingSetBytes: 64 * MIB, seed: 0xffff_ffff_ffff_ffffn },
      load: [],
      incoming: undefined,
      serial: { kind: 'file', path: '/r/s' },
      paused: true,
      hugePageBytes: 2 * MIB,
      uuid: undefined,
      onlyMigratable: true,
      dirtyRingSize: 1024,
      streamForm: { sendConfiguration: true, sendSectionFooter: false, storeGlobalState: true },
    } satisfies MachineOptions);
  });

  test('is understood for a machine without vCPUs too', () => {
    const none = { name: 'n', machine: 'none', memoryBytes: 4 * MIB } as const;
    const incoming = machineArguments({ ...none, incoming: 'defer' }, sockets);
    expect(parse(incoming)).toMatchObject({ machine: 'none', memoryBytes: 4 * MIB, incoming: { kind: 'defer' } });
    const load = [
      { file: '/a@b', address: 0 },
      { file: 'c', address: 2 * MIB },
    ];
    expect(parse(machineArguments({ ...none, load }, sockets))).toMatchObject({ machine: 'none', load });
  });
});
