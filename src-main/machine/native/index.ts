// SPDX-License-Identifier: Apache-2.0
/**
 * The typed face of the native addon. C++ moves bytes and owns descriptors and threads; everything that decides is in
 * TypeScript. Every call that can block returns a promise and runs on a native thread of its own. Errors are
 * {@link NativeError}s: `code` is an errno name (`ECONNREFUSED`, `EPROTO` for malformed input, `ECANCELED`) or `EOF`.
 */
import { createRequire } from 'node:module';

/** Shape of the errors that the addon throws and rejects with. */
export interface NativeError extends Error {
  readonly code: string;
  readonly syscall?: string;
}

export interface GuestMemoryOptions {
  /** idstr of the RAM block in the stream. */
  readonly name: string;
  readonly sizeBytes: number;
  /** 0 or absent: ordinary pages; else MFD_HUGETLB with this page size. */
  readonly hugePageBytes?: number;
  /** Anonymous memory instead of a sealed memfd, for comparison only. */
  readonly anonymous?: boolean;
}

/** One block of guest RAM on a sealed memfd. Offsets and lengths are bytes in the block. */
export interface GuestMemory {
  readonly name: string;
  readonly sizeBytes: number;
  /** Touches every page ahead of use; contents are kept. */
  populate(): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  read(offset: number, length: number): Promise<Buffer>;
  /** Writes part of the block to a file (mode 0600 where it is created, truncated first); zero pages become holes. */
  dump(path: string, offset: number, length: number): Promise<void>;
  /** Gives every page back to the kernel; the block reads as zeros afterwards. */
  discard(): Promise<void>;
  close(): void;
}

export interface DirtyLoad {
  /** 1 to 1,000,000. */
  readonly pagesPerSecond: number;
  /** From the start of the block; a multiple of 4096. */
  readonly workingSetBytes: number;
  /** Of the choice of pages and of their contents. */
  readonly seed: bigint;
}

/** A native thread that keeps writing to guest memory and marks what it wrote: live memory without a vCPU. */
export interface DirtyWriter {
  /** Writes from now on; replaces the load where one is under way. */
  start(load: DirtyLoad): void;
  /** Resolves when nothing is written any more and every write is marked. */
  stop(): Promise<void>;
  /** Since it was made. */
  readonly pagesWritten: number;
  close(): void;
}

/** One register set of CPUID: KVM's kvm_cpuid_entry2. */
export interface CpuidEntry {
  readonly function: number;
  readonly index: number;
  readonly flags: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export interface Msr {
  readonly index: number;
  readonly value: bigint;
}

/**
 * State of one vCPU as KVM's structures, little-endian, in the layout of <linux/kvm.h>:
 * kvm_regs (144 bytes), kvm_sregs (312), kvm_xsave (4096, or what KVM_CAP_XSAVE2 says), kvm_xcrs (392),
 * kvm_debugregs (128), kvm_vcpu_events (64).
 */
export interface VcpuState {
  readonly regs: Buffer;
  readonly sregs: Buffer;
  readonly xsave: Buffer;
  readonly xcrs: Buffer;
  readonly debugregs: Buffer;
  readonly events: Buffer;
  readonly mpState: number;
  readonly msrs: readonly Msr[];
  readonly tscKhz: number;
}

/** Heartbeats of one vCPU: its writes to the pace port. Times are CLOCK_MONOTONIC nanoseconds. */
export interface VcpuHeartbeats {
  readonly vcpu: number;
  readonly count: number;
  /** Generation (64 bit) of the first and of the newest heartbeat that this process saw; 0n before the first. */
  readonly firstGeneration: bigint;
  readonly generation: bigint;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** Longest time between two heartbeats that this process saw, and when it ended. */
  readonly longestGapNs: bigint;
  readonly longestGapEndNs: bigint;
}

export interface SerialState {
  readonly divider: number;
  readonly rbr: number;
  readonly ier: number;
  readonly iir: number;
  readonly lcr: number;
  readonly mcr: number;
  readonly lsr: number;
  readonly msr: number;
  readonly scr: number;
  readonly fcr: number;
}

/** A vCPU that cannot go on. All vCPUs are stopped by the time it is reported. */
export interface VcpuCrash {
  readonly vcpu: number;
  /** Name of the KVM exit: `KVM_EXIT_SHUTDOWN` (triple fault), `KVM_EXIT_INTERNAL_ERROR`, `KVM_EXIT_FAIL_ENTRY`, … */
  readonly reason: string;
  readonly detail: string;
}

/** What a vCPU's dirty ring has seen since the machine was made. */
export interface DirtyRingCounts {
  /** Pages harvested. One that is written again after it was harvested counts again. */
  readonly pages: number;
  /** How often the vCPU stopped because its ring was full. */
  readonly fullExits: number;
}

export interface MemorySlot {
  readonly guestAddress: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface VirtualMachineOptions {
  readonly memory: GuestMemory;
  readonly slots: readonly MemorySlot[];
  /** 1 to 16. */
  readonly vcpus: number;
  /** The CPU's features, the same for every vCPU except the APIC id, which the addon fills in. */
  readonly cpuid: readonly CpuidEntry[];
  /** Descriptor that serial output is written to; the addon duplicates it. Absent: kept in the tail only. */
  readonly serialFd?: number;
  /** Time between two batches of one vCPU at the pace port, nanoseconds; 0: writes to the port do not wait. */
  readonly paceIntervalNs?: number;
  /** Entries of each vCPU's dirty ring, a power of two; 0 or absent: the dirty log is used. */
  readonly dirtyRingSize?: number;
  /** Called on the JavaScript thread. */
  readonly onCrash: (crash: VcpuCrash) => void;
}

/** A KVM virtual machine with its vCPU threads, serial port and pace port. */
export interface VirtualMachine {
  readonly vcpus: number;
  /** Lets every vCPU run. */
  start(): void;
  /** Resolves when every vCPU is parked with no instruction half done; the value is the time it took, milliseconds. */
  stop(): Promise<number>;
  /** Only while stopped. MSRs that this KVM cannot read are left out of the answer. */
  getVcpuState(index: number, msrs: readonly number[]): Promise<VcpuState>;
  /** Only while stopped. Answers the indices of MSRs that the kernel refused; everything else must succeed. */
  setVcpuState(index: number, state: VcpuState): Promise<number[]>;
  serialState(): SerialState;
  setSerialState(state: SerialState): void;
  /** The last serial output, at most 64 KiB. */
  serialTail(): Buffer;
  /** Thread ids of the vCPU threads (query-cpus-fast). */
  threadIds(): number[];
  heartbeats(): VcpuHeartbeats[];
  /** By vCPU; empty when dirty pages are tracked by the dirty log. */
  dirtyRingCounts(): DirtyRingCounts[];
  /** Stops and joins every thread. */
  close(): Promise<void>;
}

export type SocketTarget =
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string }
  /** vsock(7); numbers of 32 bits. */
  | { readonly type: 'vsock'; readonly cid: number; readonly port: number };

/** Ends a pending operation; its promise rejects with code ECANCELED. */
export interface Cancellable<T> {
  readonly promise: Promise<T>;
  cancel(): void;
}

/** What ended a run of RAM records (migration-stream.md 4). */
export interface RamRecordEnd {
  readonly kind: 'eos' | 'mem-size' | 'multifd-flush' | 'hook' | 'compressed-page';
  /** The record's offset field: total bytes for `mem-size`, the page's place for `compressed-page`, else 0. */
  readonly value: number;
  /** Of `compressed-page`: the page's zlib stream is the next `length` bytes of the channel. */
  readonly block?: string;
  readonly length?: number;
}

/**
 * A connected migration channel. Output is a FIFO drained by one writer thread; input is a bounded buffer with one
 * lease: at any time at most one of peek, read, receive and loadRam is under way. Small methods copy.
 */
export interface Channel {
  /** Appends bytes to the output; never blocks. After a write error further output is dropped: flush() tells. */
  enqueue(bytes: Uint8Array): void;
  /** Resolves when all that was enqueued before is written to the socket; rejects with the write error. */
  flush(): Promise<void>;
  /** The next n bytes (n ≤ 65536) without consuming them. EOF code when the peer closes first. */
  peek(n: number): Promise<Buffer>;
  /** The next n bytes (n ≤ 64 MiB). EOF code when the peer closes first. */
  read(n: number): Promise<Buffer>;
  /** Whether the peer has closed its side and no byte is left: waits for either one byte or the end. */
  atEnd(): Promise<boolean>;
  /**
   * What has come, at least one byte; none at the end. `descriptors` came along (SCM_RIGHTS) and are the caller's to
   * close: only on channels that were accepted with `descriptors`.
   */
  receive(): Promise<{ readonly bytes: Buffer; readonly descriptors: readonly number[] }>;
  /**
   * Reads RAM records into memory until a record that is not a page. `bare`: the channel holds nothing else, and its end
   * between two records is answered as `eos`.
   */
  loadRam(loader: RamLoader, options?: { readonly bare?: boolean }): Promise<RamRecordEnd>;
  /** Bytes accepted by the kernel, and bytes handed out to readers, so far. */
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** Bytes enqueued but not yet accepted by the kernel. */
  readonly bytesQueued: number;
  /** Kernel id of the thread that writes the output; 0 until it has begun. */
  readonly writerThreadId: number;
  /** shutdown(2) both ways: pending and later operations fail (ECANCELED when this side asked for it). */
  shutdown(): void;
  /** shutdown(), join the threads, close the descriptor. */
  close(): void;
}

export interface Listener {
  /** The real address: the kernel's port where 0 was asked for. */
  readonly address: SocketTarget;
  /** `descriptors`: the peer of a unix socket may pass some. */
  accept(options?: { readonly descriptors?: boolean }): Cancellable<Channel>;
  /** Stops listening; a pending accept is cancelled; a unix socket's path is unlinked. */
  close(): void;
}

export interface RamSaverBlock {
  readonly name: string;
  readonly memory: GuestMemory;
  /** Whose dirty log covers the block; absent for memory that no vCPU writes. */
  readonly machine?: VirtualMachine;
}

export interface RamSendBudget {
  /** Stop after the record that reaches this many bytes; Infinity for no limit. */
  readonly bytes: number;
  /** Stop when this much time has passed, also while waiting for room in the channel; Infinity for no limit. */
  readonly milliseconds: number;
}

export interface RamSendResult {
  /** Bytes of records put on the channel. */
  readonly bytes: number;
  readonly normalPages: number;
  readonly zeroPages: number;
  /** The scan reached the end of the last block: the pass is over. */
  readonly passDone: boolean;
}

/** The migration bitmap of all blocks, and the worker that turns dirty pages into RAM records. */
export interface RamSaver {
  /** Starts dirty tracking and marks every page dirty. */
  start(): Promise<void>;
  /** Collects the dirty log and the user dirty bitmap; the next send starts a new pass at the first block. */
  sync(): Promise<{ readonly newlyDirtyPages: number }>;
  /** Sends dirty pages in order from where the last call ended. */
  send(channel: Channel, budget: RamSendBudget): Promise<RamSendResult>;
  /** Pages marked dirty now. */
  readonly dirtyPages: number;
  /** Makes a send under way return early, soon. */
  cancel(): void;
  /** Stops dirty tracking. */
  stop(): Promise<void>;
  close(): void;
}

export interface RamLoaderBlock {
  readonly name: string;
  /** May be absent with the option `statistics`: the block's pages are read, checked, counted and dropped. */
  readonly memory?: GuestMemory;
  /** What the stream announced; records beyond it are refused. */
  readonly usedBytes: number;
}

export interface RamLoaderOptions {
  /** Take xbzrle records; else they are refused. */
  readonly xbzrle?: boolean;
  /** End the run at each compressed page, for the caller to inflate; else they are refused. */
  readonly compressed?: boolean;
  /** Count by block. The memory must be untouched: pages that were only ever zero stay holes. */
  readonly statistics?: boolean;
}

export interface RamStatistics {
  /** The least number of rounds that the records can be from: a page comes at most once in a round. */
  readonly rounds: number;
  /** In the order of the loader's blocks: records by form, and pages that had one. */
  readonly blocks: readonly {
    readonly name: string;
    readonly normal: number;
    readonly zero: number;
    readonly xbzrle: number;
    readonly compressed: number;
    readonly pages: number;
  }[];
}

/** Where loadRam puts pages: blocks by name, with the used length that the stream announced. */
export interface RamLoader {
  readonly normalPages: number;
  readonly zeroPages: number;
  /** Only with the option `statistics`, until close(). */
  statistics(): RamStatistics;
  close(): void;
}

export interface ProbeReport {
  /** KVM_CHECK_EXTENSION by name; null where /dev/kvm cannot be opened. */
  readonly kvm: {
    readonly apiVersion: number;
    readonly capabilities: Readonly<Record<string, number>>;
  } | null;
  /** Why /dev/kvm cannot be used. */
  readonly kvmError: string | null;
  /** UFFDIO_API features; null where userfaultfd is not available to this user. */
  readonly userfaultfd: { readonly features: bigint; readonly through: 'device' | 'syscall' } | null;
  readonly userfaultfdError: string | null;
  /** Zero-page scanner chosen at run time: `avx512`, `avx2`, `sse2` or `scalar`. */
  readonly zeroScan: string;
}

export interface NativeAddon {
  readonly GuestMemory: new (options: GuestMemoryOptions) => GuestMemory;
  readonly DirtyWriter: new (memory: GuestMemory) => DirtyWriter;
  readonly VirtualMachine: new (options: VirtualMachineOptions) => VirtualMachine;
  readonly RamSaver: new (blocks: readonly RamSaverBlock[]) => RamSaver;
  readonly RamLoader: new (blocks: readonly RamLoaderBlock[], options?: RamLoaderOptions) => RamLoader;
  readonly Listener: new (target: SocketTarget) => Listener;
  connect(target: SocketTarget): Cancellable<Channel>;
  /**
   * A channel on a descriptor, which is duplicated: a regular file, read or written from `offset` (bytes, 0 by default)
   * on; a pipe, one way; or a stream socket.
   */
  openStream(fd: number, offset?: number): Channel;
  /** Both ends of a pipe, close-on-exec; whoever asks closes them. */
  pipe(): { readonly readEnd: number; readonly writeEnd: number };
  /** CPUID leaves that this KVM can give a guest. */
  supportedCpuid(): CpuidEntry[];
  /** KVM_GET_MSR_INDEX_LIST. */
  supportedMsrs(): number[];
  /** CLOCK_MONOTONIC, nanoseconds: the clock of heartbeats. */
  monotonicNs(): bigint;
  probe(): ProbeReport;
}

const require = createRequire(import.meta.url);

/** The addon, loaded on first import. Built by the bootstrap (`npm start`, `npm test`). */
export const native = require('./build/Release/godwit.node') as NativeAddon;
