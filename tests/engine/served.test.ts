// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** `godwit serve` as a process: from the printed link to a moved guest, the way a browser does it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallInput, CallName, CallOutput } from '../../src-shared/contract.ts';
import type { MachineView } from '../../src-shared/machine-view.ts';
import type { RunView } from '../../src-shared/run.ts';
import { exchange, request } from '../support/served/raw-http.ts';
import { EventsClient, openSession, type Frame, type Session } from '../support/served/served-app.ts';

const CLI = fileURLToPath(new URL('../../src-main/shells/cli/main.ts', import.meta.url));
const READY = /^Godwit is ready: (http:\/\/127\.0\.0\.1:(\d+)\/start\/[\w-]{43})$/u;

let home: string;
let served: Served;

interface Served {
  readonly process: ChildProcess;
  readonly links: string[];
  readonly exited: Promise<number | null>;
  nextLink(): Promise<string>;
}

function start(): Served {
  const child = spawn(process.execPath, [CLI, 'serve', '--port', '0'], {
    env: { ...process.env, GODWIT_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const links: string[] = [];
  let taken = 0;
  let changed = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const link = READY.exec(line)?.[1];
    if (link === undefined) return;
    links.push(link);
    changed.resolve();
    changed = Promise.withResolvers();
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const nextLink = async (): Promise<string> => {
    while (links.length <= taken) {
      const gone = exited.then((code) => Promise.reject(new Error(`ended with ${String(code)} before it gave a link`)));
      await Promise.race([changed.promise, gone]);
    }
    taken += 1;
    return links[taken - 1] ?? '';
  };
  return { process: child, links, exited, nextLink };
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'gw-serve-'));
  served = start();
});
afterEach(async () => {
  served.process.kill('SIGTERM');
  await served.exited;
  rmSync(home, { recursive: true, force: true });
});

class Page {
  readonly origin: string;
  readonly session: Session;
  readonly #port: number;

  constructor(origin: string, session: Session) {
    this.origin = origin;
    this.session = session;
    this.#port = Number(new URL(origin).port);
  }

  static async enter(link: string): Promise<Page> {
    const { origin, port } = new URL(link);
    return new Page(origin, await openSession({ port: Number(port), origin, newStartLink: () => link }));
  }

  async call<Name extends CallName>(name: Name, input: CallInput<Name>): Promise<CallOutput<Name>> {
    const { cookie, token } = this.session;
    const answer = await exchange(
      this.#port,
      request(
        `POST /api/call/${name}`,
        {
          host: new URL(this.origin).host,
          origin: this.origin,
          cookie,
          'x-godwit-token': token,
          'content-type': 'application/json',
        },
        JSON.stringify({ input }),
      ),
    );
    const body = JSON.parse(answer.body.slice(answer.body.indexOf('{'))) as { output?: unknown; error?: unknown };
    if (answer.status !== 200) throw new Error(`${name}: ${JSON.stringify(body.error)}`);
    return body.output as CallOutput<Name>;
  }

  events(query?: string): EventsClient {
    return new EventsClient(this.origin, this.session, query);
  }
}

const machineIn =
  (state: MachineView['state']) =>
  ({ name, data }: Frame): boolean =>
    name === 'machine.changed' && (data as MachineView).state === state;
const runEnded = ({ name, data }: Frame): boolean => name === 'run.changed' && (data as RunView).outcome !== 'active';

async function runningDemo(page: Page): Promise<MachineView> {
  const client = page.events();
  await client.until(({ gap }) => gap === true);
  const { machines } = await page.call('machines.list', {});
  const [first] = machines;
  if (first?.state === 'running') {
    client.socket.terminate();
    return first;
  }
  const { data } = await client.until((frame) => machineIn('running')(frame) || machineIn('crashed')(frame));
  client.socket.terminate();
  const machine = data as MachineView;
  if (machine.state !== 'running') throw new Error(`the demo machine does not run: ${JSON.stringify(machine)}`);
  return machine;
}

describe('godwit serve', { timeout: 90_000 }, () => {
  it('moves the demo machine for a browser that came by the link, and tells it every event in order', async () => {
    const page = await Page.enter(await served.nextLink());
    const machine = await runningDemo(page);
    const { seq } = await (async () => {
      const client = page.events();
      const { hello } = await client.until((frame) => frame['hello'] !== undefined);
      client.socket.terminate();
      return hello as { seq: number; epoch: string };
    })();
    const client = page.events();
    await client.until(({ gap }) => gap === true);
    const { runId } = await page.call('migration.start', {
      machineId: machine.id,
      destination: { kind: 'new-process' },
      profileId: 'balanced',
      overrides: { capabilities: {}, parameters: {} },
      acceptedRisks: [],
    });
    const { data } = await client.until(runEnded);
    expect(data).toMatchObject({ id: runId, outcome: 'completed', where: { guest: 'destination', runs: true } });
    const { seqs } = client;
    expect(seqs.length).toBeGreaterThan(5);
    expect(seqs).toEqual(Array.from(seqs, (_, index) => (seqs[0] ?? 0) + index));
    expect(seqs[0]).toBeGreaterThan(seq);
    client.socket.terminate();

    // A connection that broke in the middle: the rest comes, once and complete.
    const middle = seqs[Math.floor(seqs.length / 2)] ?? 0;
    const { epoch } = client.frames.at(-1) as { epoch: string };
    const again = page.events(`?after=${String(middle)}&epoch=${epoch}`);
    await again.until(runEnded);
    expect(again.frames.some(({ gap }) => gap === true)).toBe(false);
    expect(again.seqs.slice(0, 3)).toEqual([middle + 1, middle + 2, middle + 3]);
    again.socket.terminate();

    // Of another life of the manager nothing can be said.
    const stranger = page.events(`?after=${String(middle)}&epoch=00000000-0000-4000-8000-000000000000`);
    await stranger.until(({ gap }) => gap === true);
    stranger.socket.terminate();
  });

  it('gives each browser a link of its own, and none of them twice', async () => {
    const link = await served.nextLink();
    const first = await Page.enter(link);
    const { port, host } = new URL(link);
    const used = await exchange(Number(port), request(`GET ${new URL(link).pathname}`, { host }));
    expect(used.status).toBe(403);
    expect(used.body).toContain('new link');
    served.process.kill('SIGUSR2');
    const second = await Page.enter(await served.nextLink());
    expect(second.session.cookie).not.toBe(first.session.cookie);
    const mixed = new Page(first.origin, { cookie: first.session.cookie, token: second.session.token });
    await expect(mixed.call('machines.list', {})).rejects.toThrow('no session');
    await expect(second.call('machines.list', {})).resolves.toHaveProperty('machines');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'ends at %s with its machines, and leaves no process',
    async (signal) => {
      const page = await Page.enter(await served.nextLink());
      const { pid } = await runningDemo(page);
      const client = page.events();
      await client.until(({ hello }) => hello !== undefined);
      served.process.kill(signal);
      expect(await served.exited).toBe(0);
      expect(await client.closed).toBe(1006);
      expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
    },
  );

  it('ends at once when it is told to before anybody came', async () => {
    await served.nextLink();
    served.process.kill('SIGTERM');
    expect(await served.exited).toBe(0);
  });
});
