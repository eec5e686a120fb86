// SPDX-License-Identifier: Apache-2.0

/** Where text goes. The part of a stream that the command line uses. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What a command needs from the process that it runs in. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Registers a listener for "the user wants to stop" and by which signal; answers how to remove it. */
  onInterrupt(listener: (signal: NodeJS.Signals) => void): () => void;
}

/** Exit codes; tests and users rely on them. */
export const exitCodes = { done: 0, error: 1, usage: 2, blocked: 3, failed: 4, cancelled: 5 } as const;

/** Whether escape sequences may be written: a terminal, not a dumb one, and no NO_COLOR (https://no-color.org). */
export function terminalStyle(io: CliIo): { readonly redraw: boolean; readonly color: boolean } {
  const redraw = io.stdout.isTTY === true && io.env['TERM'] !== 'dumb';
  return { redraw, color: redraw && (io.env['NO_COLOR'] ?? '') === '' };
}
