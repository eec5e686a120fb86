// SPDX-License-Identifier: Apache-2.0
/** What stands on the command line: switches of Electron and Chromium, then the app, then the app's own arguments. */

export interface CommandLine {
  /** Modules to load before the app (-r). */
  readonly preloads: readonly string[];
  /** The port of --inspect; null without it. */
  readonly inspectPort: number | null;
  /** The port of --remote-debugging-port; null without it. */
  readonly debuggingPort: number | null;
  /** Every `--name[=value]`, also behind the app, as Chromium reads them. */
  readonly switches: ReadonlyMap<string, string>;
  readonly app: string | null;
  readonly appArguments: readonly string[];
}

/** Reads the arguments behind the executable. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const preloads: string[] = [];
  let index = 0;
  for (; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '-r' || arg === '--require') preloads.push(args[++index] ?? '');
    else if (!arg.startsWith('-')) break;
  }
  const switches = new Map(args.filter((arg) => arg.startsWith('--')).map(nameAndValue));
  return {
    preloads,
    inspectPort: portOf(switches.get('inspect')),
    debuggingPort: portOf(switches.get('remote-debugging-port')),
    switches,
    app: args[index] ?? null,
    appArguments: args.slice(index + 1),
  };
}

function nameAndValue(arg: string): [string, string] {
  const [, name = '', value = ''] = /^--([^=]*)=?(.*)$/s.exec(arg) ?? [];
  return [name, value];
}

function portOf(value: string | undefined): number | null {
  if (value === undefined) return null;
  return value === '' ? 9229 : Number(value.replace(/^.*:/, ''));
}
