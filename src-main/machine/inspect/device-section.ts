// SPDX-License-Identifier: Apache-2.0
/** A device's payload: how long it is and what it says, by whatever tells. */
import type { VmdescDevice } from '../engine/vmstate/describe.ts';
import { VmstateError } from '../engine/vmstate/vmstate-error.ts';
import { describedFields, describedLength } from './described-section.ts';
import { findFooter, FOOTER_BYTES, footerOf } from './footer-search.ts';
import type { FooterSearch } from './footer-search.ts';
import { MalformedStreamError } from './inspect-error.ts';
import { knownSection } from './known-sections.ts';
import type { PayloadReport } from './report.ts';

/** No section of ours is longer; the largest, `cpu`, has some 5 KiB with every subsection. */
const MAX_KNOWN = 16 * 1024;
/** Values of longer payloads are not shown. */
const MAX_SHOWN = 16 * 1024 * 1024;

export interface DeviceSection extends FooterSearch {
  readonly idstr: string;
  readonly version: number;
  readonly description: VmdescDevice | undefined;
}

/** A payload, and what kept a better way of reading it from working, as sentences. */
export interface ReadPayload {
  readonly payload: PayloadReport;
  readonly notes: readonly string[];
}

type Attempt = PayloadReport | string;

/**
 * Reads a payload by the stream's description, else by Godwit's own table, else finds its end only. A way counts when
 * the section's footer stands where it ends. Throws a {@link MalformedStreamError} when none does.
 */
export async function readDeviceSection(section: DeviceSection): Promise<ReadPayload> {
  const refusals: string[] = [];
  for (const attempt of [byDescription, byTable]) {
    const read = await attempt(section);
    if (typeof read !== 'string') return { payload: read, notes: refusals.map((reason) => note(section, reason)) };
    if (read !== '') refusals.push(read);
  }
  const length = await findFooter(section);
  if (length === undefined) {
    const why = refusals.length > 0 ? refusals.join('; ') : 'nothing describes it';
    throw new MalformedStreamError(
      section.offset,
      `section '${section.idstr}' could not be decoded from here on: ${why}, and no footer was found`,
    );
  }
  const payload = { offset: section.offset, length, decodedBy: 'footer', fields: [], fieldsOmitted: 0 } as const;
  return { payload, notes: refusals.map((reason) => note(section, reason)) };
}

const note = (section: DeviceSection, reason: string): string =>
  `section '${section.idstr}' at byte ${section.offset}: ${reason}`;

async function byDescription(section: DeviceSection): Promise<Attempt> {
  const { description, offset } = section;
  if (description === undefined) return '';
  const length = describedLength(description);
  if (!(await hasFooter(section, length))) return 'the description at the end of the stream does not fit it';
  if (length > MAX_SHOWN) {
    return { offset, length, decodedBy: 'description', fields: [], fieldsOmitted: description.fields.length };
  }
  const read = describedFields(description, await section.file.readAt(offset, length));
  if (read === undefined) return 'the description at the end of the stream has other subsections';
  return { offset, length, decodedBy: 'description', fields: read.fields, fieldsOmitted: read.omitted };
}

async function byTable(section: DeviceSection): Promise<Attempt> {
  const { idstr, offset, version } = section;
  const read = knownSection(idstr);
  if (read === undefined) return '';
  try {
    const bytes = await section.file.readAt(offset, Math.min(MAX_KNOWN, section.limit - offset));
    const { length, fields } = await read(bytes, version);
    if (!(await hasFooter(section, length)))
      return `it does not end after ${length} bytes, as a section '${idstr}' does`;
    return { offset, length, decodedBy: 'table', fields, fieldsOmitted: 0 };
  } catch (error) {
    if (error instanceof VmstateError) return error.message;
    throw error;
  }
}

async function hasFooter(section: DeviceSection, length: number): Promise<boolean> {
  const at = section.offset + length;
  if (at + FOOTER_BYTES > section.limit) return false;
  return (await section.file.readAt(at, FOOTER_BYTES)).equals(footerOf(section.sectionId));
}
