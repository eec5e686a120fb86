// SPDX-License-Identifier: Apache-2.0
// needs: kvm
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { native } from '../../src-main/machine/native/index.ts';
import type { VcpuCrash } from '../../src-main/machine/native/index.ts';
import {
  CODE,
  COUNT,
  COUNT_ALOUD,
  createTestMachine,
  eventually,
  MIB,
  PACE_PORT,
  PACED,
  readCounter,
  register,
  SERIAL_PORT,
  TRIPLE_FAULT,
} from './long-mode.ts';
import type { TestMachine, TestMachineOptions } from './long-mode.ts';

const directory = mkdtempSync(join(tmpdir(), 'godwit-native-'));
const opened: TestMachine[] = [];

async function machineWith(options: TestMachineOptions): Promise<TestMachine> {
  const made = await createTestMachine(options);
  opened.push(made);
  return made;
}

afterEach(async () => {
  for (const { machine, memory } of opened.splice(0)) {
    await machine.close();
    memory.close();
  }
});

process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error as NodeJS.ErrnoException).code,
  );

describe('a machine driven through the addon', () => {
  it('runs, stops exactly, and goes on in another machine with the state of the first', async () => {
    const msrs = native.supportedMsrs();
    const source = await machineWith({ vcpus: 2, payload: COUNT });
    source.machine.start();
    await eventually(async () => (await readCounter(source.memory, 1)) > 1000n);
    expect(await source.machine.stop()).toBeLessThan(1000);

    const target = await machineWith({ vcpus: 2, payload: COUNT });
    await target.memory.write(0, await source.memory.read(0, 4 * MIB));
    for (const vcpu of [0, 1]) {
      const state = await source.machine.getVcpuState(vcpu, msrs);
      const counter = await readCounter(source.memory, vcpu);
      const ahead = register(state, 'rip') === BigInt(CODE + 3) ? 1n : 0n;
      expect(register(state, 'rbx')).toBe(counter + ahead);
      expect(state.regs.length).toBe(144);
      expect(state.sregs.length).toBe(312);
      expect(state.xsave.length).toBeGreaterThanOrEqual(4096);
      expect(state.tscKhz).toBeGreaterThan(0);
      const refused = await target.machine.setVcpuState(vcpu, state);
      expect(refused.every((index) => msrs.includes(index))).toBe(true);
      const copy = await target.machine.getVcpuState(vcpu, []);
      expect(copy).toEqual({ ...state, msrs: [] });
    }
    const before = await readCounter(target.memory);
    target.machine.start();
    await eventually(async () => (await readCounter(target.memory)) > before + 1000n);
  });

  it('writes serial output to the descriptor and keeps its tail', async () => {
    const path = join(directory, 'serial');
    const fd = openSync(path, 'w');
    const { machine } = await machineWith({ payload: COUNT_ALOUD, registers: { rdx: SERIAL_PORT }, serialFd: fd });
    closeSync(fd); // the machine has its own
    machine.start();
    await eventually(() => machine.serialTail().length > 100);
    await machine.stop();
    const tail = machine.serialTail();
    await machine.close();
    expect(readFileSync(path).equals(tail)).toBe(true);
    expect([...tail.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps the registers of the serial port', async () => {
    const { machine } = await machineWith({ payload: COUNT });
    const state = { ...machine.serialState(), divider: 0x1234, scr: 0x5a, mcr: 0x0b };
    expect(state.lsr).toBe(0x60);
    expect(state.msr).toBe(0xb0);
    machine.setSerialState(state);
    expect(machine.serialState()).toEqual(state);
    expect(() => machine.setSerialState({ ...state, scr: 256 })).toThrow(TypeError);
  });

  it('counts heartbeats on the clock of monotonicNs', async () => {
    const begin = native.monotonicNs();
    const { machine } = await machineWith({
      vcpus: 2,
      payload: PACED,
      registers: { rdx: PACE_PORT, rbx: 0xffff_fff0n },
      paceIntervalNs: 500_000,
    });
    machine.start();
    await eventually(() => machine.heartbeats().every((beats) => beats.count > 100));
    await machine.stop();
    for (const [vcpu, beats] of machine.heartbeats().entries()) {
      expect(beats.vcpu).toBe(vcpu);
      expect(beats.firstGeneration).toBe(0xffff_fff1n);
      expect(beats.generation).toBe(0xffff_fff0n + BigInt(beats.count));
      expect(beats.firstNs).toBeGreaterThan(begin);
      expect(beats.lastNs).toBeLessThan(native.monotonicNs());
      expect(beats.longestGapNs).toBeGreaterThan(0n);
    }
  });

  it('tells why a vCPU crashed, when all are stopped', async () => {
    const crash = await new Promise<VcpuCrash>((resolve, reject) => {
      machineWith({ payload: TRIPLE_FAULT, onCrash: resolve }).then(({ machine }) => machine.start(), reject);
    });
    expect(crash.vcpu).toBe(0);
    expect(crash.reason).toMatch(/^KVM_EXIT_/);
    expect(crash.detail).toContain('rip 0x10000');
    const { machine } = opened[0]!;
    expect(() => machine.start()).toThrow(/crashed/);
  });

  it('has one thread for each vCPU, and none after close', async () => {
    const { machine } = await machineWith({ vcpus: 4, payload: COUNT });
    machine.start();
    const threads = machine.threadIds().map((id) => `/proc/self/task/${id}`);
    expect(new Set(threads).size).toBe(4);
    expect(threads.every((path) => existsSync(path))).toBe(true);
    await machine.close();
    expect(threads.some((path) => existsSync(path))).toBe(false);
    await machine.close();
    expect(() => machine.start()).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => machine.heartbeats()).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(await codeOf(machine.stop())).toBe('EBADF');
    expect(await codeOf(machine.getVcpuState(0, []))).toBe('EBADF');
  });

  it('gives state only while it is stopped', async () => {
    const { machine } = await machineWith({ payload: COUNT });
    machine.start();
    expect(await codeOf(machine.getVcpuState(0, []))).toBe('EBUSY');
    await machine.stop();
    expect(await codeOf(machine.getVcpuState(1, []))).toBe('EINVAL');
    const state = await machine.getVcpuState(0, []);
    expect(() => machine.setVcpuState(0, { ...state, sregs: state.sregs.subarray(1) })).toThrow(/sregs: 312/);
    expect(() => machine.setVcpuState(0, { ...state, msrs: [{ index: 1, value: 1 as unknown as bigint }] })).toThrow(
      TypeError,
    );
  });

  it('refuses options that cannot be, with a sentence', async () => {
    const memory = new native.GuestMemory({ name: 'test.ram', sizeBytes: MIB });
    const options = {
      memory,
      slots: [{ guestAddress: 0, offset: 0, sizeBytes: MIB }],
      vcpus: 1,
      cpuid: [],
      onCrash: () => undefined,
    };
    const { VirtualMachine } = native;
    expect(() => new VirtualMachine({ ...options, vcpus: 17 })).toThrow(/1 to 16 vCPUs/);
    expect(() => new VirtualMachine({ ...options, dirtyRingSize: 3000 })).toThrow(/power of two/);
    expect(() => new VirtualMachine({ ...options, dirtyRingSize: 2 ** 31 })).toThrow(/at most/);
    expect(() => new VirtualMachine({ ...options, serialFd: 100_000 })).toThrow(/descriptor/);
    expect(
      () => new VirtualMachine({ ...options, slots: [{ guestAddress: 0, offset: 0, sizeBytes: 2 * MIB }] }),
    ).toThrow(/outside the memory block/);
    expect(() => new VirtualMachine({ ...options, memory: {} as typeof memory })).toThrow(TypeError);
    expect(() => new VirtualMachine({ ...options, vcpus: 1.5 })).toThrow(TypeError);
    memory.close();
    expect(() => new VirtualMachine(options)).toThrow(/GuestMemory \(open\)/);
  });
});

describe('guest memory through the addon', () => {
  it('is populated, written, read and dumped', async () => {
    const memory = new native.GuestMemory({ name: 'test.ram', sizeBytes: 8 * MIB });
    await memory.write(4095, Uint8Array.of(1, 2, 3));
    await memory.populate();
    expect([...(await memory.read(4094, 5))]).toEqual([0, 1, 2, 3, 0]);
    const path = join(directory, 'ram');
    await memory.dump(path, 4095, 3);
    expect([...readFileSync(path)]).toEqual([1, 2, 3]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await codeOf(memory.read(8 * MIB - 1, 2))).toBe('ERANGE');
    expect(await codeOf(memory.read(0, Number.MAX_SAFE_INTEGER))).toBe('ERANGE');
    expect(await codeOf(memory.dump(join(directory, 'none', 'ram'), 0, 1))).toBe('ENOENT');
    expect(() => memory.read(-1, 1)).toThrow(TypeError);
    expect(() => memory.read(0.5, 1)).toThrow(TypeError);
    expect(() => memory.write(0, [1] as unknown as Uint8Array)).toThrow('write(offset: number, bytes: Uint8Array)');
    const pending = codeOf(memory.populate());
    memory.close();
    expect(['no error', 'ECANCELED']).toContain(await pending);
    expect(await codeOf(memory.read(0, 1))).toBe('EBADF');
    expect(memory.sizeBytes).toBe(8 * MIB);
  });

  it('refuses sizes that cannot be', () => {
    expect(() => new native.GuestMemory({ name: 'a', sizeBytes: 4097 })).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining('multiple of 4 KiB') as string }),
    );
    expect(() => new native.GuestMemory({ name: 'a', sizeBytes: 2 ** 45 })).toThrow(/ask for less/);
  });
});

describe('the end of a process', () => {
  const child = fileURLToPath(new URL('./exit-child.ts', import.meta.url));
  it.each([
    ['exit', 7, ''],
    ['exit-in-callback', 7, ''],
    ['throw', 1, ''],
    ['throw-in-callback', 7, ''],
    ['return', 0, ''],
    ['return-when-done', 0, 'closed'],
    ['worker', 0, ''],
  ])('is clean while machines run: %s', (how, status, output) => {
    const result = spawnSync(process.execPath, [child, how], { encoding: 'utf8', timeout: 30_000 });
    expect({ status: result.status, signal: result.signal }, result.stderr).toEqual({ status, signal: null });
    expect(result.stdout).toBe(output);
  });
});
