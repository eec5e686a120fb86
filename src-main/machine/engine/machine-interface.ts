// SPDX-License-Identifier: Apache-2.0
/**
 * What the engine needs of a machine. The engine knows memory blocks, sections and verbs; it never sees KVM. `vm`
 * implements this.
 */
import type { StreamDialect } from '../../../src-shared/migration/peer-release.ts';
import type { GuestMemory, VirtualMachine } from '../native/index.ts';
import type { ByteSource } from './vmstate/byte-source.ts';
import type { VmdescDevice } from './vmstate/describe.ts';

/** A block of guest RAM that travels. */
export interface RamBlock {
  /** idstr in the stream, such as `microvm.ram`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Guest physical address of its first byte. */
  readonly guestAddress: number;
  readonly memory: GuestMemory;
  /** Whose dirty log covers the block. */
  readonly machine?: VirtualMachine;
}

/** One device's state, ready to be framed as a FULL section. */
export interface SavedSection {
  readonly idstr: string;
  readonly instanceId: number;
  readonly version: number;
  readonly payload: Uint8Array;
  readonly description: VmdescDevice;
}

export interface EngineMachine {
  /** Machine name of the configuration section, such as `microvm`. */
  readonly machineType: string;
  /** Parts of the stream that both ends have or both leave out. */
  readonly streamForm: { readonly sendConfiguration: boolean; readonly sendSectionFooter: boolean };
  /** 16 bytes, where one was set. */
  readonly uuid: Uint8Array | undefined;
  /** Blocks in the order in which they are listed and scanned: largest first. */
  readonly ramBlocks: readonly RamBlock[];

  /** Whether vCPUs run now. */
  readonly running: boolean;
  /** Stops the guest for the switchover and remembers its run state: `finish-migrate`. */
  stopForMigration(): Promise<void>;
  /** Undoes stopForMigration: the remembered run state again, and the guest runs if it ran. */
  resumeAfterMigration(): Promise<void>;
  /** The guest has left: `postmigrate`. */
  leaveAfterMigration(): void;
  /** Gives the memory of a guest that has left back to the kernel: it cannot be run here any more. */
  releaseMemory(): Promise<void>;

  /** State of every device, in stream order and in the dialect's form. Only while stopped. */
  saveSections(dialect: StreamDialect): Promise<SavedSection[]>;

  /** Reads one device section's payload. Throws when the machine has no such device or the payload is malformed. */
  loadSection(idstr: string, instanceId: number, version: number, source: ByteSource): Promise<void>;
  /** All sections have arrived: puts the state into devices and vCPUs. Nothing runs yet. */
  applyLoadedState(): Promise<void>;
  /** The guest is this machine's now: runs it if it ran at the source and autostart is on, else takes its run state. */
  takeOver(): void;
  /** Loaded, but the source has not given its word: `paused` until an explicit `cont`. */
  holdLoaded(): void;
}
