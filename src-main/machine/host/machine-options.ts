// SPDX-License-Identifier: Apache-2.0

/** The demo guest: pages written a second by all vCPUs together, and over how much memory. */
export interface DemoGuestOptions {
  readonly kind: 'demo';
  /** Pages a second; 0: the guest only checks. */
  readonly dirtyRate: number;
  readonly workingSetBytes: number;
  /** Seed of the contents of memory outside the working set. */
  readonly seed: bigint;
}

/** A file copied into guest RAM before the machine starts. */
export interface LoadedFile {
  readonly file: string;
  /** Guest physical address. */
  readonly address: number;
}

export type SerialTarget = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'stdio' };

/** Wait for `migrate-incoming`, or listen at once. */
export type IncomingOption = { readonly kind: 'defer' } | { readonly kind: 'uri'; readonly uri: string };

/** QEMU's properties `migration.send-configuration`, `.send-section-footer` and `.store-global-state`: on by default. */
export interface StreamForm {
  readonly sendConfiguration: boolean;
  readonly sendSectionFooter: boolean;
  readonly storeGlobalState: boolean;
}

/** One machine process: what `godwit vm` and the machine's entry were asked for, checked. */
export interface MachineOptions {
  /** Paths of one or two QMP sockets. */
  readonly qmp: readonly string[];
  readonly name: string | undefined;
  readonly machine: 'none' | 'microvm';
  readonly memoryBytes: number;
  /** 1 to 16; 0 for machine `none`. */
  readonly cpus: number;
  /** Named CPU model. */
  readonly cpu: 'x86-64-v2' | 'x86-64-v3' | 'host';
  readonly guest: DemoGuestOptions | undefined;
  readonly load: readonly LoadedFile[];
  readonly incoming: IncomingOption | undefined;
  readonly serial: SerialTarget | undefined;
  /** Created stopped: a destination stays stopped when its state has arrived. */
  readonly paused: boolean;
  /** MFD_HUGETLB page size in bytes, or undefined for ordinary pages. */
  readonly hugePageBytes: number | undefined;
  readonly uuid: string | undefined;
  readonly onlyMigratable: boolean;
  /** Parts of the stream that can be left out, for peers of old machine types that do not know them. */
  readonly streamForm: StreamForm;
  /** Entries of KVM's dirty ring; undefined: the dirty log is used. */
  readonly dirtyRingSize: number | undefined;
}
