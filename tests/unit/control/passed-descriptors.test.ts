// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, openSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { object } from '../../../src-main/control/arguments.ts';
import { defineCommand } from '../../../src-main/control/command.ts';
import { QmpSession } from '../../../src-main/control/session.ts';

const opened: number[] = [];

/** A descriptor that the test closes in the end. */
function open(): number {
  const descriptor = openSync('/dev/null', 'r');
  opened.push(descriptor);
  return descriptor;
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

const taken: (number | undefined)[] = [];

afterEach(() => {
  for (const descriptor of opened.splice(0)) if (isOpen(descriptor)) closeSync(descriptor);
  taken.length = 0;
});

async function negotiated(): Promise<{ session: QmpSession; lines: string[] }> {
  const lines: string[] = [];
  const session = new QmpSession({
    version: { qemu: { major: 8, minor: 2, micro: 0 }, package: 'godwit-0.0.0' },
    commands: {
      take: defineCommand({
        arguments: object({}),
        takesDescriptors: true,
        handler: (_args, { takeDescriptor }) => {
          taken.push(takeDescriptor());
          return {};
        },
      }),
      other: defineCommand({
        arguments: object({}),
        handler: (_args, { takeDescriptor }) => {
          taken.push(takeDescriptor());
          return {};
        },
      }),
    },
    send: (line) => lines.push(line),
  });
  session.open();
  session.receive(Buffer.from('{"execute":"qmp_capabilities"}'));
  await session.idle();
  return { session, lines };
}

describe('descriptors that a client passes', () => {
  it('belong to the command that they came with, one each, though several are sent at once', async () => {
    const { session } = await negotiated();
    const [one, two] = [open(), open()];
    session.receive(Buffer.from('{"execute":"other"}{"execute":"take"}'), [one]);
    session.receive(Buffer.from('{"execute":"take"}{"execute":"take"}'), [two]);
    await session.idle();
    expect(taken).toEqual([undefined, one, two, undefined]);
  });

  it('may come with the first bytes of a command that goes on later', async () => {
    const { session } = await negotiated();
    const descriptor = open();
    session.receive(Buffer.from('{"execute":'), [descriptor]);
    session.receive(Buffer.from('"take"}'));
    await session.idle();
    expect(taken).toEqual([descriptor]);
    expect(isOpen(descriptor)).toBe(true);
  });

  it('are closed where the command takes fewer, and where later ones come before any command takes them', async () => {
    const { session } = await negotiated();
    const [first, spare, late] = [open(), open(), open()];
    session.receive(Buffer.from('{"execute":"take"}'), [first, spare]);
    await session.idle();
    expect([isOpen(first), isOpen(spare)]).toEqual([true, false]);
    const left = open();
    session.receive(Buffer.from('{"execute":"other"}'), [left]);
    await session.idle();
    expect(isOpen(left)).toBe(true);
    session.receive(Buffer.from('{"execute":"take"}'), [late]);
    await session.idle();
    expect(isOpen(left)).toBe(false);
    expect(taken).toEqual([first, undefined, late]);
  });

  it('are closed when the client leaves, also those of commands that still wait', async () => {
    const { session } = await negotiated();
    const descriptors = [open(), open(), open()];
    session.receive(Buffer.from('{"execute":"take"}{"execute":"take"}'), [descriptors[0] ?? -1]);
    session.receive(Buffer.from('{"execute":"take"}'), [descriptors[1] ?? -1]);
    session.close();
    session.receive(Buffer.from(' '), [descriptors[2] ?? -1]);
    await session.idle();
    // The first command was being run already, and has taken its own.
    expect(taken).toEqual([descriptors[0]]);
    expect(descriptors.map(isOpen)).toEqual([true, false, false]);
  });
});
