// SPDX-License-Identifier: Apache-2.0
/**
 * Where a section ends that nobody describes: a footer repeats the section's id, and something that can follow a section
 * comes behind it. Payloads may hold such bytes by chance, so the answer is a guess, and callers say so.
 */
import * as wire from '../engine/stream/wire.ts';
import { isCommand } from './commands.ts';
import type { ReadableStreamFile } from './stream-file.ts';

export const FOOTER_BYTES = 5;
/** Enough to judge what follows a footer: a section's type, id, name, instance and version. */
const LOOK_AHEAD = FOOTER_BYTES + 1 + 4 + 1 + 255 + 8;
/** What is read at once: little at first, since most sections are short, then more. */
const FIRST_WINDOW = 4 * 1024;
const MAX_WINDOW = 1024 * 1024;
/** No device section is as long; a search that finds nothing must end. */
const MAX_SEARCH = 64 * 1024 * 1024;

export interface FooterSearch {
  readonly file: ReadableStreamFile;
  /** Where the payload begins. */
  readonly offset: number;
  readonly sectionId: number;
  /** Where the stream, or the package around the section, ends. */
  readonly limit: number;
  /** Ids of sections that are sent in parts. */
  readonly liveIds: { readonly has: (id: number) => boolean };
}

/** Bytes of the footer of a section. */
export function footerOf(sectionId: number): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeUInt8(wire.SECTION_FOOTER, 0);
  footer.writeUInt32BE(sectionId, 1);
  return footer;
}

/** The payload's length, or undefined where no footer is found. */
export async function findFooter(search: FooterSearch): Promise<number | undefined> {
  const footer = footerOf(search.sectionId);
  const end = Math.min(search.limit, search.offset + MAX_SEARCH);
  let window = FIRST_WINDOW;
  for (let at = search.offset; at < end;) {
    // Windows overlap: a footer and what follows it may lie across their border.
    const bytes = await search.file.readAt(at, Math.min(window + LOOK_AHEAD, search.limit - at));
    for (let found = bytes.indexOf(footer); found >= 0 && found < window; found = bytes.indexOf(footer, found + 1)) {
      const next = bytes.subarray(found + FOOTER_BYTES);
      const isEnd = at + found + FOOTER_BYTES === search.limit;
      if (isEnd || isElement(next, search.liveIds)) return at + found - search.offset;
    }
    at += window;
    window = Math.min(MAX_WINDOW, window * 4);
  }
  return undefined;
}

/** Whether bytes look like the beginning of an element, as far as they go. */
function isElement(bytes: Buffer, liveIds: FooterSearch['liveIds']): boolean {
  switch (bytes[0]) {
    case wire.SECTION_EOF: {
      const next = bytes[1];
      return next === undefined || next === wire.SECTION_VMDESCRIPTION || next === wire.SECTION_COMMAND;
    }
    case wire.SECTION_START:
    case wire.SECTION_FULL:
      return isSectionHead(bytes);
    case wire.SECTION_PART:
    case wire.SECTION_END:
      return bytes.length >= 5 && liveIds.has(bytes.readUInt32BE(1));
    case wire.SECTION_COMMAND:
      return bytes.length >= 5 && isCommand(bytes.readUInt16BE(1));
    case undefined:
    default:
      return false;
  }
}

/** `be32 id, counted idstr, be32 instance, be32 version`: names are printable, and nobody counts to a million. */
function isSectionHead(bytes: Buffer): boolean {
  const nameLength = bytes[5] ?? 0;
  const numbersAt = 6 + nameLength;
  if (nameLength === 0 || bytes.length < numbersAt + 8) return false;
  const name = bytes.toString('latin1', 6, numbersAt);
  return /^[\x20-\x7e]+$/.test(name) && bytes.readUInt32BE(numbersAt + 4) < 0x10000;
}
