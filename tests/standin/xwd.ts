// SPDX-License-Identifier: Apache-2.0
/** Turns the XWD file that Xvfb keeps of its screen into a PNG. */
import { crc32, deflateSync } from 'node:zlib';

/** Places in the header, in words of 32 bits, most significant byte first. */
const HEADER = { size: 0, width: 4, height: 5, byteOrder: 7, bitsPerPixel: 11, bytesPerLine: 12, colours: 19 } as const;
const COLOUR_BYTES = 12;
const BYTES_PER_PIXEL = 4;
const LEAST_SIGNIFICANT_FIRST = 0;
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** 8 bits a channel, red, green and blue. */
const PNG_FORMAT = [8, 2, 0, 0, 0];

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Three bytes a pixel: red, green, blue. */
  readonly pixels: Buffer;
}

/** Reads 32 bits a pixel, as Xvfb writes for a depth of 24; throws at anything else. */
export function readXwd(file: Buffer): Picture {
  const word = (index: number): number => file.readUInt32BE(index * 4);
  const width = word(HEADER.width);
  const height = word(HEADER.height);
  if (word(HEADER.bitsPerPixel) !== 8 * BYTES_PER_PIXEL) throw new Error('Only screens of 32 bits a pixel are read.');
  const lineBytes = word(HEADER.bytesPerLine);
  const start = word(HEADER.size) + word(HEADER.colours) * COLOUR_BYTES;
  if (file.length < start + lineBytes * height) throw new Error('The picture of the screen is cut off.');
  const [red, green, blue] = word(HEADER.byteOrder) === LEAST_SIGNIFICANT_FIRST ? [2, 1, 0] : [1, 2, 3];
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const from = start + y * lineBytes + x * BYTES_PER_PIXEL;
      pixels[to] = file[from + red] ?? 0;
      pixels[to + 1] = file[from + green] ?? 0;
      pixels[to + 2] = file[from + blue] ?? 0;
    }
  }
  return { width, height, pixels };
}

/** The picture as a PNG file. */
export function toPng({ width, height, pixels }: Picture): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set(PNG_FORMAT, 8);
  // Each line begins with its filter: none.
  const lines = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++) pixels.copy(lines, y * (width * 3 + 1) + 1, y * width * 3, (y + 1) * width * 3);
  return Buffer.concat([
    PNG_SIGNATURE,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
