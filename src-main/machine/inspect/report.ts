// SPDX-License-Identifier: Apache-2.0
/** What `godwit inspect` found: the document that `--json` prints. Offsets and lengths are bytes of the stream. */

/** What a main channel is made of. */
export interface StreamElements {
  readonly commands: CommandReport[];
  readonly sections: SectionReport[];
  /** Where the mark is that ends the state. */
  endOffset?: number;
  vmdescription?: { readonly offset: number; readonly length: number; readonly devices: number };
  /** What a reader should know and cannot see from the rest, as sentences. */
  readonly notes: string[];
}

export interface InspectReport extends StreamElements {
  readonly file: string;
  /** Length of the stream, decompressed. */
  readonly bytes: number;
  /** Length of the file where it is gzip. */
  readonly gzipBytes?: number;
  /** Of the stream format. */
  version?: number;
  configuration?: ConfigurationReport;
  ram?: RamReport;
  /** The further channels. */
  channels?: readonly ChannelReport[];
  /** Only when the stream was read to its end. */
  image?: ImageReport;
  /** Why the stream could not be read further, and where. */
  error?: { readonly offset: number; readonly reason: string; readonly file?: string };
}

/** A further channel. */
export type ChannelReport = MultifdChannelReport | PreemptChannelReport | ResumedChannelReport;

interface ChannelFile {
  readonly file: string;
  /** Length of the channel, decompressed. */
  readonly bytes: number;
  readonly gzipBytes?: number;
}

export interface MultifdChannelReport extends ChannelFile {
  readonly kind: 'multifd';
  readonly id: number;
  readonly uuid: string;
  packets: number;
  /** Marks where all channels wait for each other. */
  syncs: number;
  /** Pages by form. */
  normal: number;
  zero: number;
  /** Of the last packet that had normal pages. */
  compression?: string;
}

/** Urgent pages of a postcopy. */
export interface PreemptChannelReport extends ChannelFile {
  readonly kind: 'preempt';
  normal: number;
  zero: number;
}

/** What a main channel after a recovery holds. */
export interface ResumedChannelReport extends ChannelFile, StreamElements {
  readonly kind: 'resumed';
}

export interface ConfigurationReport {
  readonly offset: number;
  readonly length: number;
  readonly machine: string;
  readonly subsections: readonly ConfigurationSubsection[];
}

export interface ConfigurationSubsection {
  readonly name: string;
  readonly version: number;
  readonly capabilities?: readonly string[];
  readonly uuid?: string;
  readonly targetPageBits?: number;
}

export interface CommandReport {
  readonly offset: number;
  readonly length: number;
  readonly number: number;
  readonly name: string;
  /** Inside the package of a postcopy. */
  readonly packaged: boolean;
  readonly details: CommandDetails;
}

export interface CommandDetails {
  /** PING. */
  readonly value?: number;
  /** POSTCOPY_ADVISE: the page sizes of all blocks ORed, and the guest's. */
  readonly pageSizes?: number;
  readonly targetPageSize?: number;
  /** POSTCOPY_RAM_DISCARD, RECV_BITMAP. */
  readonly block?: string;
  readonly ranges?: readonly { readonly start: number; readonly length: number }[];
  /** PACKAGED. */
  readonly packageBytes?: number;
}

export type SectionType = 'start' | 'part' | 'end' | 'full';

export interface SectionReport {
  readonly type: SectionType;
  readonly offset: number;
  /** From the type byte to the end of the footer; of all where several parts are one entry. */
  length: number;
  /** Parts that follow each other are one entry. */
  count: number;
  readonly id: number;
  readonly idstr: string;
  readonly instance: number;
  readonly version: number;
  readonly packaged: boolean;
  /** Absent for RAM. */
  readonly payload?: PayloadReport;
}

/** `description`: by the vmdesc of the stream; `table`: by Godwit's own; `footer`: only its end was found. */
export type DecodedBy = 'description' | 'table' | 'footer';

export interface PayloadReport {
  readonly offset: number;
  readonly length: number;
  readonly decodedBy: DecodedBy;
  readonly fields: readonly FieldReport[];
  /** Fields that are not listed because there are too many. */
  readonly fieldsOmitted: number;
}

export interface FieldReport {
  /** `env.segs[1].selector`; of a subsection `cpu/tsc_khz: env.tsc_khz`. */
  readonly path: string;
  readonly type: string;
  /** From the beginning of the payload. */
  readonly offset: number;
  readonly size: number;
  readonly value: number | bigint | boolean | Uint8Array;
}

export interface RamReport {
  readonly totalBytes: number;
  /** The least number of passes that the records can be from. */
  rounds: number;
  blocks: RamBlockReport[];
  /** Marks where the multifd channels wait for each other. */
  multifdFlushes: number;
}

export interface RamBlockReport {
  readonly name: string;
  readonly usedBytes: number;
  /** Only where the stream says it: huge pages and postcopy. */
  readonly pageSize?: number;
  /** Only with x-ignore-shared. */
  readonly guestAddress?: number;
  /** Records by form. */
  readonly normal: number;
  readonly zero: number;
  readonly xbzrle: number;
  readonly compressed: number;
  /** Pages that have a record. */
  readonly pages: number;
}

export interface ImageReport {
  readonly path: string;
  readonly block: string;
  readonly bytes: number;
  /** Hexadecimal; absent where the image did not go to a regular file. */
  readonly sha256?: string;
}
