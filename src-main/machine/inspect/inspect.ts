// SPDX-License-Identifier: Apache-2.0
/** `godwit inspect`: what is in a saved migration stream. */
import * as wire from '../engine/stream/wire.ts';
import { isEndOfSource } from '../engine/vmstate/byte-source.ts';
import { native, type Channel } from '../native/index.ts';
import { FurtherChannels } from './channels/further-channels.ts';
import { MultifdPages } from './channels/multifd-pages.ts';
import { InspectError, MalformedStreamError } from './inspect-error.ts';
import { RamRecords } from './ram-records.ts';
import { checkImagePath, writeImage } from './ram-image.ts';
import type { InspectReport, StreamElements } from './report.ts';
import { StreamFile } from './stream-file.ts';
import { asMalformedRecord, StreamInspector, type SectionIdentity } from './stream-inspector.ts';
import { findVmDescription } from './vmdescription.ts';

/** Sections that one sentence names. */
const MAX_LISTED = 100;

export interface InspectOptions {
  /** A main-channel stream, plain or gzip. */
  readonly file: string;
  /** Further channels of the same migration, in any order but for those after recoveries. */
  readonly channels?: readonly string[];
  /** Where the contents of the largest RAM block go. */
  readonly image?: string;
}

/**
 * Reads a whole stream. What is malformed is told by the report's `error`; it holds all that was read before, and no
 * image is written then. Throws an {@link InspectError} for what is not the stream's fault, and native errors (no memory
 * for the image) as they are.
 */
export async function inspectStream(options: InspectOptions): Promise<InspectReport> {
  const file = await StreamFile.open(options.file);
  try {
    const further = await FurtherChannels.open(options.channels ?? []);
    try {
      if (options.image !== undefined) await checkImagePath(options.image, [file, ...further.files]);
      return await inspectFile(file, further, options);
    } finally {
      await further.close();
    }
  } finally {
    await file.close();
  }
}

async function inspectFile(
  file: StreamFile,
  further: FurtherChannels,
  options: InspectOptions,
): Promise<InspectReport> {
  const report: InspectReport = {
    file: options.file,
    bytes: file.bytes,
    ...(file.gzipBytes !== undefined && { gzipBytes: file.gzipBytes }),
    commands: [],
    sections: [],
    notes: [],
  };
  if (further.reports.length > 0) report.channels = further.reports;
  const description = await findVmDescription(file);
  const channel = native.openStream(file.fd);
  const records = new RamRecords(options.image !== undefined, new MultifdPages(further.multifd));
  const live = new Map<number, SectionIdentity>();
  try {
    const main = { file, channel, records, description, elements: report, beginning: report, live };
    await goOnAfterCut(new StreamInspector(main), report, further.resumed.at(0)?.report.file);
    await readFurther(further, records, live);
    countRam(report, records);
    noteMissingPages(report);
    noteUndecoded(report);
    if (options.image !== undefined) report.image = await imageOf(report, records, options.image);
  } catch (error) {
    if (!(error instanceof MalformedStreamError)) throw error;
    countRam(report, records);
    const { offset, message: reason, file: where } = error;
    report.error = { offset, reason, ...(where !== undefined && { file: where }) };
  } finally {
    channel.close();
    records.close();
  }
  return report;
}

function countRam(report: InspectReport, records: RamRecords): void {
  const ram = records.report();
  if (ram !== undefined) report.ram = ram;
}

/** Reads a main channel to its end, or to where its connection was lost if another goes on from there. */
async function goOnAfterCut(
  inspector: StreamInspector,
  elements: StreamElements,
  next: string | undefined,
): Promise<void> {
  try {
    await inspector.run();
  } catch (error) {
    if (!(error instanceof MalformedStreamError) || !error.cutOff || next === undefined) throw error;
    elements.notes.push(`the connection was lost at byte ${error.offset}; ${next} goes on from there`);
  }
}

async function readFurther(
  { resumed, preempt }: FurtherChannels,
  records: RamRecords,
  live: Map<number, SectionIdentity>,
): Promise<void> {
  for (const [index, { file, channel, report }] of resumed.entries()) {
    await within(report.file, async () => {
      const inspector = new StreamInspector({ file, channel, records, description: undefined, elements: report, live });
      await goOnAfterCut(inspector, report, resumed[index + 1]?.report.file);
    });
  }
  await records.finishMultifd();
  for (const { file, channel, report } of preempt) {
    await within(report.file, async () => Object.assign(report, await readPreempt(file, channel, records)));
  }
}

async function readPreempt(
  file: StreamFile,
  channel: Channel,
  records: RamRecords,
): ReturnType<RamRecords['readBare']> {
  try {
    return await records.readBare(channel);
  } catch (error) {
    if (isEndOfSource(error)) throw new MalformedStreamError(file.bytes, 'the channel ends inside a record');
    throw asMalformedRecord(error) ?? error;
  }
}

/** What is wrong is wrong in this file. */
async function within(file: string, read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof MalformedStreamError)) throw error;
    throw new MalformedStreamError(error.offset, error.message, { cause: error, file: error.file ?? file });
  }
}

async function imageOf(report: InspectReport, records: RamRecords, path: string): Promise<InspectReport['image']> {
  const hasMultifd = report.channels?.some(({ kind }) => kind === 'multifd') === true;
  if (report.ram !== undefined && report.ram.multifdFlushes > 0 && !hasMultifd) {
    throw new InspectError(
      'IMAGE',
      'the pages of this stream are on its multifd channels: give their files with --channel. No RAM image was written',
    );
  }
  if (records.image === undefined)
    throw new InspectError('IMAGE', 'the stream has no RAM, so there is no image to write');
  return writeImage(path, records.image.memory);
}

function noteUndecoded(report: InspectReport): void {
  const undecoded = report.sections.filter(({ payload }) => payload?.decodedBy === 'footer');
  if (undecoded.length === 0) return;
  const shown = undecoded.slice(0, MAX_LISTED).map(({ idstr, payload }) => `${idstr} at byte ${payload?.offset ?? 0}`);
  const more = undecoded.length > shown.length ? [`and ${undecoded.length - shown.length} more`] : [];
  report.notes.push(
    `nothing in this stream describes the contents of ${[...shown, ...more].join(', ')}; where they end was found by their footers`,
  );
}

/** The first pass of a precopy sends every page, the zero ones too. */
function noteMissingPages(report: InspectReport): void {
  for (const { name, usedBytes, pages } of report.ram?.blocks ?? []) {
    const missing = usedBytes / wire.TARGET_PAGE_SIZE - pages;
    if (missing === 0) continue;
    report.notes.push(
      `RAM block '${name}': pages without a record in this stream: ${missing}; they came another way (multifd, preempt, shared memory) or not at all, and are zero in an image`,
    );
  }
}
