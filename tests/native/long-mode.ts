// SPDX-License-Identifier: Apache-2.0
/** A small machine driven through the addon: page tables, a hand-assembled payload, vCPUs that start it in long mode. */
import { native } from '../../src-main/machine/native/index.ts';
import type { GuestMemory, VcpuCrash, VcpuState, VirtualMachine } from '../../src-main/machine/native/index.ts';

export const MIB = 1024 * 1024;
export const CODE = 0x10000;
export const DATA = 0x20000;
export const SERIAL_PORT = 0x3f8n;
export const PACE_PORT = 0x505n;
const TABLES = 0x1000;

/** inc rbx; mov [rdi], rbx; jmp */
export const COUNT = [0x48, 0xff, 0xc3, 0x48, 0x89, 0x1f, 0xeb, 0xf8];
/** inc rbx; mov eax, ebx; out dx, al; mov [rdi], rbx; jmp */
export const COUNT_ALOUD = [0x48, 0xff, 0xc3, 0x89, 0xd8, 0xee, 0x48, 0x89, 0x1f, 0xeb, 0xf5];
/** inc rbx; mov [rdi], rbx; mov eax, ebx; out dx, eax; jmp */
export const PACED = [0x48, 0xff, 0xc3, 0x48, 0x89, 0x1f, 0x89, 0xd8, 0xef, 0xeb, 0xf5];
/** ud2, without an interrupt table: a triple fault */
export const TRIPLE_FAULT = [0x0f, 0x0b];

const REGISTERS = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp'] as const;
export type Registers = Partial<Record<(typeof REGISTERS)[number], bigint>>;

export function register(state: VcpuState, name: (typeof REGISTERS)[number] | 'rip'): bigint {
  return state.regs.readBigUInt64LE(name === 'rip' ? 128 : REGISTERS.indexOf(name) * 8);
}

/** Offsets in kvm_sregs: eight segments of 24 bytes, two tables of 16, then control registers. */
function longModeSregs(sregs: Buffer): Buffer {
  const bytes = Buffer.from(sregs);
  const segment = (index: number, selector: number, code: boolean) => {
    const at = index * 24;
    bytes.fill(0, at, at + 24);
    bytes.writeUInt32LE(0xffffffff, at + 8);
    bytes.writeUInt16LE(selector, at + 12);
    // type, present, dpl, db, s, l, g: user mode, which every KVM runs natively
    bytes.set([code ? 11 : 3, 1, 3, code ? 0 : 1, 1, code ? 1 : 0, 1], at + 14);
  };
  segment(0, 0x0b, true);
  for (let index = 1; index < 6; index++) segment(index, 0x13, false);
  bytes.writeUInt16LE(0, 192 + 8);
  bytes.writeUInt16LE(0, 208 + 8);
  bytes.writeBigUInt64LE(0x80050033n, 224);
  bytes.writeBigUInt64LE(BigInt(TABLES), 240);
  bytes.writeBigUInt64LE(0x620n, 248);
  bytes.writeBigUInt64LE(0x500n, 264);
  return bytes;
}

export function longMode(state: VcpuState, registers: Registers, rip = CODE): VcpuState {
  const regs = Buffer.alloc(state.regs.length);
  REGISTERS.forEach((name, index) => regs.writeBigUInt64LE(registers[name] ?? 0n, index * 8));
  regs.writeBigUInt64LE(BigInt(rip), 128);
  regs.writeBigUInt64LE(0x3002n, 136); // I/O privilege for user mode
  return { ...state, regs, sregs: longModeSregs(state.sregs) };
}

/** Maps the first GiB one to one in pages of 2 MiB: present, writable, user, accessed, dirty. */
function pageTables(): Buffer {
  const tables = Buffer.alloc(3 * 4096);
  tables.writeBigUInt64LE(BigInt(TABLES + 0x1000) | 0x27n, 0);
  tables.writeBigUInt64LE(BigInt(TABLES + 0x2000) | 0x27n, 0x1000);
  for (let n = 0; n < 512; n++) tables.writeBigUInt64LE(BigInt(n * 2 * MIB) | 0xe7n, 0x2000 + n * 8);
  return tables;
}

export interface TestMachine {
  readonly memory: GuestMemory;
  readonly machine: VirtualMachine;
}

export interface TestMachineOptions {
  readonly vcpus?: number;
  readonly payload: readonly number[];
  readonly registers?: Registers;
  readonly serialFd?: number;
  readonly paceIntervalNs?: number;
  readonly onCrash?: (crash: VcpuCrash) => void;
}

/** Every vCPU gets the same registers, except RDI, which moves up by one page for each. */
export async function createTestMachine(options: TestMachineOptions): Promise<TestMachine> {
  const memory = new native.GuestMemory({ name: 'test.ram', sizeBytes: 4 * MIB });
  await memory.write(TABLES, pageTables());
  await memory.write(CODE, Uint8Array.from(options.payload));
  const machine = new native.VirtualMachine({
    memory,
    slots: [{ guestAddress: 0, offset: 0, sizeBytes: 4 * MIB }],
    vcpus: options.vcpus ?? 1,
    cpuid: native.supportedCpuid(),
    onCrash:
      options.onCrash ??
      ((crash) => {
        throw new Error(`vCPU ${crash.vcpu} crashed: ${crash.reason}, ${crash.detail}`);
      }),
    ...(options.serialFd === undefined ? {} : { serialFd: options.serialFd }),
    ...(options.paceIntervalNs === undefined ? {} : { paceIntervalNs: options.paceIntervalNs }),
  });
  for (let vcpu = 0; vcpu < machine.vcpus; vcpu++) {
    const registers = { rdi: BigInt(DATA + vcpu * 4096), ...options.registers };
    await machine.setVcpuState(vcpu, longMode(await machine.getVcpuState(vcpu, []), registers));
  }
  return { memory, machine };
}

export async function readCounter(memory: GuestMemory, vcpu = 0): Promise<bigint> {
  return (await memory.read(DATA + vcpu * 4096, 8)).readBigUInt64LE();
}

/** Waits for something that another thread brings about; fails after 20 seconds. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('waited 20 seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
