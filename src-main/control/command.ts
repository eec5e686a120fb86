// SPDX-License-Identifier: Apache-2.0
/** One row of a machine's command table. */
import { checkArguments, type ObjectSchema } from './arguments.ts';
import type { JsonInput, JsonValue } from './json.ts';

export interface CommandContext {
  /** Aborted when the client that asked is gone. */
  readonly signal: AbortSignal;
  /** The command came as `exec-oob`, ahead of others. */
  readonly oob: boolean;
  /** Takes over a descriptor that the client passed with the command; only where the command says that it does. */
  readonly takeDescriptor: () => number | undefined;
}

export type CommandResult = JsonValue | undefined;

export interface CommandDefinition<T> {
  readonly arguments: ObjectSchema<T>;
  /** May be run at once, while an in-band command is still being worked on. */
  readonly oob?: boolean;
  /** Descriptors that the client passed with it are for it. */
  readonly takesDescriptors?: boolean;
  /** Throws a QmpError to refuse. `undefined` is answered as `{}`. */
  readonly handler: (args: T, context: CommandContext) => Promise<CommandResult> | CommandResult;
}

/** A command whose argument type is forgotten: it checks, then runs. */
export interface Command {
  readonly oob: boolean;
  readonly takesDescriptors: boolean;
  readonly run: (input: JsonInput | undefined, context: CommandContext) => Promise<CommandResult>;
}

/** Commands by name. `qmp_capabilities` belongs to the session and is not among them. */
export type CommandTable = Readonly<Record<string, Command>>;

/** Makes a row of the table; the handler's argument type follows from the schema. */
export function defineCommand<T>(definition: CommandDefinition<T>): Command {
  return {
    oob: definition.oob ?? false,
    takesDescriptors: definition.takesDescriptors ?? false,
    run: async (input, context) => definition.handler(checkArguments(definition.arguments, input), context),
  };
}
