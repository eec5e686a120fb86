// SPDX-License-Identifier: Apache-2.0
/** Deadlines of the engine, milliseconds, each with its reason. */
export const timeouts = {
  /**
   * How long whoever connected to a destination may take for the first eight bytes. A source sends them at once; half a
   * minute leaves room for a tunnel that is slow to come up. From the header on nothing is timed: the source may send as
   * slowly as its max-bandwidth says.
   */
  header: 30_000,
  /**
   * How long a destination whose load has failed tries to tell the source. It matters only for the source's message,
   * and a peer that reads nothing would hold it for ever.
   */
  lastAnswer: 1_000,
  /**
   * How long a committed source waits for the destination's SHUT before it reports `completed` without it. The guest's
   * fate is decided at the commit; the answer only confirms it, and a dead link must not keep the source for ever.
   */
  confirmationAfterCommit: 5_000,
  /**
   * How long a cancelled source tries to tell a destination that already has everything. The guest must be back soon; a
   * destination that does not hear of it waits, which is safe.
   */
  farewell: 50,
  /**
   * How long a source whose command takes no more waits for the end of the command, whose last words say why. The guest
   * may be stopped meanwhile.
   */
  commandExplains: 500,
  /**
   * How long a destination that has answered SHUT 0 keeps reading for the rest of the stream (the vmdesc) and the
   * source's close, so that the source's last writes do not meet a closed socket.
   */
  drainAfterShut: 5_000,
  /**
   * How long a source without a return path waits for the description behind the state to be taken. The guest has gone;
   * a peer that reads no more must not keep the source from saying so.
   */
  drainAfterEnd: 5_000,
} as const;
