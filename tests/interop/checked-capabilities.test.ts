// SPDX-License-Identifier: Apache-2.0
/** What both ends compare before a guest moves: the UUID and x-ignore-shared, between a Godwit and a stock QEMU. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { listen, startNonePeer, type NonePeer, type NonePeerOptions } from '../support/none-peer.ts';
import { qemuVersion } from '../support/qemu.ts';
import { until } from '../support/machine.ts';

const MEMORY = 8 * 1024 ** 2;
const ONE = '11111111-2222-3333-4444-555555555555';
const OTHER = '99999999-2222-3333-4444-555555555555';
const folder = mkdtempSync(join(tmpdir(), 'gw-checked-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ends {
  readonly source: Partial<NonePeerOptions> & Pick<NonePeerOptions, 'kind'>;
  readonly destination: Partial<NonePeerOptions> & Pick<NonePeerOptions, 'kind'>;
  readonly capabilities: { readonly source: readonly string[]; readonly destination: readonly string[] };
}

interface Result {
  readonly status: string | undefined;
  /** What the destination said when its process ended; undefined: it goes on. */
  readonly refusal: string | undefined;
}

async function move({ source, destination, capabilities }: Ends): Promise<Result> {
  const started: NonePeer[] = [];
  try {
    const [from, to] = await Promise.all([
      startNonePeer({ memoryBytes: MEMORY, ...source }),
      startNonePeer({ memoryBytes: MEMORY, incoming: true, ...destination }),
    ]);
    started.push(from, to);
    await from.link.setCapabilities(['events', 'return-path', ...capabilities.source]);
    await to.link.setCapabilities(['events', 'return-path', ...capabilities.destination]);
    const uri = await listen(to, 'unix');
    await from.link.execute('migrate', { uri });
    const { info } = await until(
      'the end of the migration',
      () => from.link.migration(),
      ({ info: { status } }) => status === 'completed' || status === 'failed',
    );
    const refusal = info.status === 'failed' ? await to.lastWords : undefined;
    return { status: info.status, refusal };
  } finally {
    await Promise.all(started.map((peer) => peer.dispose()));
  }
}

describe.runIf(qemuVersion() !== undefined).each([
  ['godwit', 'qemu'],
  ['qemu', 'godwit'],
  ['godwit', 'godwit'],
] as const)('from %s to %s', (from, to) => {
  const pair = (uuid: { source?: string; destination?: string }, source: string[], destination = source): Ends => ({
    source: { kind: from, uuid: uuid.source },
    destination: { kind: to, uuid: uuid.destination },
    capabilities: { source, destination },
  });

  it('a guest moves when the UUIDs are the same', async () => {
    const result = await move(pair({ source: ONE, destination: ONE }, ['validate-uuid']));
    expect(result).toEqual({ status: 'completed', refusal: undefined });
  });

  it('a guest of another UUID is refused by name', async () => {
    const { status, refusal } = await move(pair({ source: ONE, destination: OTHER }, ['validate-uuid']));
    expect(status).toBe('failed');
    expect(refusal).toContain(`UUID received is ${ONE} and local is ${OTHER}`);
  });

  it('a guest with a UUID moves to where none was set', async () => {
    expect((await move(pair({ source: ONE }, ['validate-uuid']))).status).toBe('completed');
  });

  it('the UUIDs do not matter while nobody asks for them', async () => {
    expect((await move(pair({ source: ONE, destination: OTHER }, []))).status).toBe('completed');
  });

  it.each(['send-configuration', 'send-section-footer', 'store-global-state'] as const)(
    'a guest moves where both ends leave out what %s is for, and nowhere else',
    async (part) => {
      const without = (source: boolean, destination: boolean): Ends => ({
        source: { kind: from, leaveOut: source ? [part] : [] },
        destination: { kind: to, leaveOut: destination ? [part] : [] },
        capabilities: { source: [], destination: [] },
      });
      expect((await move(without(true, true))).status).toBe('completed');
      const alone = await move(without(true, false));
      // A destination that hears nothing of the run state has no way to miss it, in QEMU; ours asks for every section.
      if (part !== 'store-global-state') expect(alone.status).toBe('failed');
      else if (to === 'godwit') expect(alone.refusal).toContain("without section 'globalstate'");
    },
  );

  it('x-ignore-shared leaves nothing out of memory that is not shared', async () => {
    expect((await move(pair({}, ['x-ignore-shared']))).status).toBe('completed');
  });

  it.each([
    ['source', 'Capability x-ignore-shared is off, but received capability is on'],
    ['destination', 'Capability x-ignore-shared is on, but received capability is off'],
  ] as const)('x-ignore-shared on the %s alone is refused by name', async (end, sentence) => {
    const on = ['x-ignore-shared'];
    const { status, refusal } = await move(end === 'source' ? pair({}, on, []) : pair({}, [], on));
    expect(status).toBe('failed');
    expect(refusal).toContain(sentence);
  });
});

describe.runIf(qemuVersion() !== undefined)('memory that a QEMU shares', () => {
  it('is not taken for sent: the guest would be there with a part of its memory missing', async () => {
    const content = join(folder, 'shared.ram');
    writeFileSync(content, 'what the guest had');
    truncateSync(content, MEMORY);
    const { status, refusal } = await move({
      source: { kind: 'qemu', content },
      destination: { kind: 'godwit' },
      capabilities: { source: ['x-ignore-shared'], destination: ['x-ignore-shared'] },
    });
    expect(status).toBe('failed');
    expect(refusal).toContain('The source left out shared memory');
  });
});
