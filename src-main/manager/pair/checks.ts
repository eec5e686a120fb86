// SPDX-License-Identifier: Apache-2.0
/** What must be right before a migration between two foreign machines is begun. Pure. */
import { formatBytes } from '../../../src-shared/sizes.ts';
import { plainText } from '../../../src-shared/plain-text.ts';

export interface EndFacts {
  readonly path: string;
  readonly runState: string;
  /** `status` of query-migrate. */
  readonly status: string | undefined;
  readonly blockedReasons: readonly string[];
  readonly memoryBytes: number | undefined;
}

/** Run states in which a guest can be taken away. */
const HAS_A_GUEST = ['running', 'paused', 'prelaunch', 'suspended'];

/** Why it cannot begin, with the remedy; undefined when it can. An end that is not there is not checked. */
export function whyBlocked(source: EndFacts | undefined, destination: EndFacts | undefined): string | undefined {
  return (
    (source && sourceBlocked(source)) ??
    (destination && destinationBlocked(destination)) ??
    (source && destination && pairBlocked(source, destination))
  );
}

function sourceBlocked({ path, runState, blockedReasons }: EndFacts): string | undefined {
  const [reason] = blockedReasons;
  if (reason !== undefined) return `The guest cannot move: ${plainText(reason)}`;
  if (runState === 'inmigrate') {
    return `The source at ${path} waits for a guest itself: are --from and --to the wrong way round?`;
  }
  if (runState === 'postmigrate') return `The guest of the source at ${path} has left already`;
  if (HAS_A_GUEST.includes(runState)) return undefined;
  return `The source at ${path} is ${plainText(runState)}: its guest cannot move`;
}

function destinationBlocked({ path, runState, status }: EndFacts): string | undefined {
  if (runState !== 'inmigrate') {
    return `The destination at ${path} does not wait for a guest (it is ${plainText(runState)}): start it with -incoming defer`;
  }
  if (status === undefined || status === 'none') return undefined;
  return `The destination at ${path} has a migration already (${plainText(status)}): start a new one`;
}

function pairBlocked(source: EndFacts, destination: EndFacts): string | undefined {
  const [has, needs] = [destination.memoryBytes, source.memoryBytes];
  if (has === undefined || needs === undefined || has === needs) return undefined;
  return `The destination has ${formatBytes(has)} of memory, the guest ${formatBytes(needs)}: start it with the same`;
}
