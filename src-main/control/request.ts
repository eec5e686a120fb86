// SPDX-License-Identifier: Apache-2.0
/** What a client asks: the shape of a request, checked with QEMU's sentences. */
import { isJsonObject, type JsonInput, type JsonObject } from './json.ts';
import { genericError, type QmpError, type RequestId } from './protocol.ts';

export interface Request {
  readonly command: string;
  readonly arguments: JsonObject | undefined;
  readonly oob: boolean;
}

/** Is run at once, whatever becomes of it: `exec-oob` without `execute`. */
export function isOutOfBand(message: JsonInput): boolean {
  return isJsonObject(message) && 'exec-oob' in message && !('execute' in message);
}

/** The command that it names, however malformed it is otherwise. */
export function commandOf(message: JsonInput): string | undefined {
  const name = isJsonObject(message) ? (message['execute'] ?? message['exec-oob']) : undefined;
  return typeof name === 'string' ? name : undefined;
}

/** The id to answer with; a malformed request has one too, as long as it is an object. */
export function idOf(message: JsonInput): RequestId {
  return isJsonObject(message) ? message['id'] : undefined;
}

const member = (name: string, complaint: string): QmpError => genericError(`QMP input member '${name}' ${complaint}`);

/** Reads a request, or throws the {@link QmpError} that refuses it. `oobEnabled`: the session negotiated `oob`. */
export function readRequest(message: JsonInput, oobEnabled: boolean): Request {
  if (!isJsonObject(message)) throw genericError('QMP input must be a JSON object');
  const execute = commandName(message, 'execute');
  const outOfBand = oobEnabled ? commandName(message, 'exec-oob') : undefined;
  if (execute !== undefined && outOfBand !== undefined) throw member('execute', "clashes with 'exec-oob'");
  const given = message['arguments'];
  if (given !== undefined && !isJsonObject(given)) throw member('arguments', 'must be an object');
  const known = ['execute', 'arguments', 'id', ...(oobEnabled ? ['exec-oob'] : [])];
  const stranger = Object.keys(message).find((name) => !known.includes(name));
  if (stranger !== undefined) throw member(stranger, 'is unexpected');
  const command = execute ?? outOfBand;
  if (command === undefined) throw genericError("QMP input lacks member 'execute'");
  return { command, arguments: given, oob: outOfBand !== undefined };
}

function commandName(message: JsonObject, name: 'execute' | 'exec-oob'): string | undefined {
  const command = message[name];
  if (command === undefined || typeof command === 'string') return command;
  throw member(name, 'must be a string');
}
