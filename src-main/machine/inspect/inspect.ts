// SPDX-License-Identifier: Apache-2.0
/** `godwit inspect`: what is in a saved migration stream. */
import * as wire from '../engine/stream/wire.ts';
import { native } from '../native/index.ts';
import { InspectError, MalformedStreamError } from './inspect-error.ts';
import { RamRecords } from './ram-records.ts';
import { checkImagePath, writeImage } from './ram-image.ts';
import type { InspectReport } from './report.ts';
import { StreamFile } from './stream-file.ts';
import { StreamInspector } from './stream-inspector.ts';
import { findVmDescription } from './vmdescription.ts';

/** Sections that one sentence names. */
const MAX_LISTED = 100;

export interface InspectOptions {
  /** A main-channel stream, plain or gzip. */
  readonly file: string;
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
    if (options.image !== undefined) await checkImagePath(options.image, file);
    return await inspectFile(file, options);
  } finally {
    await file.close();
  }
}

async function inspectFile(file: StreamFile, options: InspectOptions): Promise<InspectReport> {
  const report: InspectReport = {
    file: options.file,
    bytes: file.bytes,
    ...(file.gzipBytes !== undefined && { gzipBytes: file.gzipBytes }),
    commands: [],
    sections: [],
    notes: [],
  };
  const description = await findVmDescription(file);
  const channel = native.openStream(file.fd);
  const records = new RamRecords(options.image !== undefined);
  try {
    await new StreamInspector({ file, channel, records, description, report }).run();
    noteMissingPages(report);
    noteUndecoded(report);
    if (options.image !== undefined) report.image = await imageOf(report, records, options.image);
  } catch (error) {
    if (!(error instanceof MalformedStreamError)) throw error;
    report.error = { offset: error.offset, reason: error.message };
  } finally {
    channel.close();
    records.close();
  }
  return report;
}

async function imageOf(report: InspectReport, records: RamRecords, path: string): Promise<InspectReport['image']> {
  if (report.ram !== undefined && report.ram.multifdFlushes > 0) {
    throw new InspectError(
      'IMAGE',
      'the pages of this stream are on its multifd channels, which inspect does not read yet: no RAM image was written',
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
