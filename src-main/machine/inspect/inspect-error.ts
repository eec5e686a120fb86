// SPDX-License-Identifier: Apache-2.0

/** `FILE`: it cannot be read or is no stream file; `STREAM`: what is in it is malformed; `IMAGE`: no RAM image. */
export type InspectErrorCode = 'FILE' | 'STREAM' | 'IMAGE';

/** Why an inspection ended: one sentence. */
export class InspectError extends Error {
  override readonly name = 'InspectError';
  readonly code: InspectErrorCode;

  constructor(code: InspectErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface MalformedStreamOptions extends ErrorOptions {
  readonly file?: string;
  readonly cutOff?: boolean;
}

/** The stream breaks its grammar at a place: the byte of the (decompressed) stream where what is wrong begins. */
export class MalformedStreamError extends Error {
  override readonly name = 'MalformedStreamError';
  readonly code = 'STREAM';
  readonly offset: number;
  /** Of a channel that is not the main one. */
  readonly file: string | undefined;
  /** Nothing is wrong but that there is no more of it. */
  readonly cutOff: boolean;

  constructor(offset: number, reason: string, options: MalformedStreamOptions = {}) {
    super(reason, options);
    this.offset = offset;
    this.file = options.file;
    this.cutOff = options.cutOff === true;
  }
}
