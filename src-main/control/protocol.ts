// SPDX-License-Identifier: Apache-2.0
/** The messages of QMP. */
import { writeJson, type JsonInput, type JsonValue } from './json.ts';

export type QmpErrorClass = 'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';

/** A command was refused: thrown by handlers, and by the client for an error reply. The message is the `desc`. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly code = 'QMP_ERROR';
  /** QEMU's class; a later release may know classes that this one does not. */
  readonly class: QmpErrorClass | (string & {});

  constructor(errorClass: QmpErrorClass | (string & {}), desc: string) {
    super(desc);
    this.class = errorClass;
  }

  get desc(): string {
    return this.message;
  }
}

/** What most refusals are. */
export const genericError = (desc: string): QmpError => new QmpError('GenericError', desc);

export type QmpVersion = {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  readonly package: string;
};

/** The release whose control surface Godwit has; the package tells that it is not QEMU. */
export const REFERENCE_RELEASE = { major: 8, minor: 2, micro: 0 } as const;

export type QmpGreeting = {
  readonly QMP: { readonly version: QmpVersion; readonly capabilities: readonly string[] };
};

export type QmpTimestamp = { readonly seconds: number; readonly microseconds: number };

/** An event as it is on the wire. `data` is absent for events without members. */
export type QmpEvent = {
  readonly event: string;
  readonly data?: { readonly [member: string]: JsonValue };
  readonly timestamp: QmpTimestamp;
};

/** An event as a machine announces it: the server adds the time. */
export type QmpAnnouncement = {
  readonly event: string;
  readonly data?: { readonly [member: string]: JsonValue | undefined };
};

/** Wall-clock time in milliseconds as a QMP timestamp. */
export function timestampOf(milliseconds: number): QmpTimestamp {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, microseconds: Math.floor((milliseconds - seconds * 1000) * 1000) };
}

/** `undefined`: the request had none. Any JSON value may be an id. */
export type RequestId = JsonInput | undefined;

/** One message as a line, CR LF included. */
export const writeLine = (message: unknown): string => `${writeJson(message)}\r\n`;

export const successReply = (result: JsonValue | undefined, id: RequestId): string =>
  writeLine({ return: result ?? {}, id });

export const errorReply = ({ class: errorClass, desc }: QmpError, id: RequestId): string =>
  writeLine({ id, error: { class: errorClass, desc } });
