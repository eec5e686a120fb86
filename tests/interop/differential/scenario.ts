// SPDX-License-Identifier: Apache-2.0
/** A script of QMP steps that is run against a stock QEMU and against Godwit, and whose transcripts are compared. */

export type EndName = 'source' | 'destination';

/** What the peer of a lone source is: it takes the connection and says nothing, or closes it at once. */
export type FakePeer = 'silent' | 'closing';

export type Step =
  /** In texts `{uri}` is an address of this scenario, `{peer}` that of its fake peer, `{folder}` a private folder. */
  | {
      readonly do: 'ask';
      readonly end: EndName;
      readonly command: string;
      readonly arguments?: Readonly<Record<string, unknown>>;
      /** Keeps one member of the reply's object, or the elements of its list that have this `capability`. */
      readonly pick?: string;
    }
  /** Waits until query-migrate has one of these statuses; the status that it has is in the transcript. */
  | { readonly do: 'await'; readonly end: EndName; readonly status: readonly string[] }
  | { readonly do: 'kill'; readonly end: EndName }
  /** Waits for the end of the process; its exit code is in the transcript. */
  | { readonly do: 'await-exit'; readonly end: EndName };

export interface Scenario {
  readonly name: string;
  /** Which machines there are; a scenario that changes nothing for good shares its machines with others. */
  readonly ends: 'shared' | readonly EndName[];
  readonly peer?: FakePeer;
  /** A status that a source passes through or not, as it happens: its peer may be faster than it is. */
  readonly mayPass?: string;
  readonly steps: readonly Step[];
}

export const ask = (end: EndName, command: string, args?: Readonly<Record<string, unknown>>, pick?: string): Step => ({
  do: 'ask',
  end,
  command,
  ...(args && { arguments: args }),
  ...(pick !== undefined && { pick }),
});

export const awaitStatus = (end: EndName, ...status: readonly string[]): Step => ({ do: 'await', end, status });

/** Capabilities on or off. */
export const capabilities = (end: EndName, set: Readonly<Record<string, boolean>>): Step =>
  ask(end, 'migrate-set-capabilities', {
    capabilities: Object.entries(set).map(([capability, state]) => ({ capability, state })),
  });

export const parameters = (end: EndName, set: Readonly<Record<string, unknown>>): Step =>
  ask(end, 'migrate-set-parameters', set);
