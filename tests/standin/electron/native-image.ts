// SPDX-License-Identifier: Apache-2.0
/** Images that know where they came from, and how large a PNG is. */
import { readFileSync } from 'node:fs';
import { StrictObject, strict } from '../strict.ts';
import type { Conforms } from '../conforms.ts';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

export class NativeImage extends StrictObject {
  readonly #bytes: Buffer;
  #isTemplate = false;

  constructor(bytes: Buffer) {
    super();
    this.#bytes = bytes;
  }

  isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  getSize(): { width: number; height: number } {
    if (!this.#bytes.subarray(0, 4).equals(PNG)) return { width: 0, height: 0 };
    return { width: this.#bytes.readUInt32BE(16), height: this.#bytes.readUInt32BE(20) };
  }

  toPNG(): Buffer {
    return this.#bytes;
  }

  /** Not scaled. */
  resize(): this {
    return this;
  }

  setTemplateImage(option: boolean): void {
    this.#isTemplate = option;
  }

  isTemplateImage(): boolean {
    return this.#isTemplate;
  }
}

export type CheckedNativeImage = Conforms<
  Pick<Electron.NativeImage, 'isEmpty' | 'toPNG' | 'setTemplateImage' | 'isTemplateImage'>,
  NativeImage
>;

export const nativeImage = strict('nativeImage', {
  createEmpty: () => new NativeImage(Buffer.alloc(0)),
  /** Empty where there is no such file, as in Electron. */
  createFromPath: (path: string) => {
    try {
      return new NativeImage(readFileSync(path));
    } catch {
      return new NativeImage(Buffer.alloc(0));
    }
  },
  createFromBuffer: (buffer: Buffer) => new NativeImage(buffer),
  createFromDataURL: (url: string) => new NativeImage(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64')),
});
