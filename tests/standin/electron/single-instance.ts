// SPDX-License-Identifier: Apache-2.0
/** One instance a user data folder: it listens on a socket in it, and later ones hand over what they were started with. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of a socket's path, with its closing zero. */
const LONGEST_PATH = 107;

export interface HandedOver {
  readonly argv: string[];
  readonly cwd: string;
  readonly additionalData: unknown;
}

/** Answers whether anybody took it. The lock is asked for synchronously, so a process of its own does the waiting. */
const HAND_OVER = `
const socket = require('node:net').connect(process.argv[1]);
socket.setTimeout(20000, () => process.exit(1));
socket.on('error', () => process.exit(1));
socket.on('data', () => process.exit(0));
socket.on('close', () => process.exit(1));
process.stdin.on('data', (chunk) => socket.write(chunk));
process.stdin.on('end', () => socket.write('\\n'));
`;

export class SingleInstance {
  readonly #nodePath: string;
  readonly #taken: (handedOver: HandedOver) => void;
  #server: Server | null = null;
  #path = '';

  constructor(nodePath: string, taken: (handedOver: HandedOver) => void) {
    this.#nodePath = nodePath;
    this.#taken = taken;
  }

  get isHeld(): boolean {
    return this.#server !== null;
  }

  request(userData: string, handedOver: HandedOver): boolean {
    if (this.#server !== null) return true;
    mkdirSync(userData, { recursive: true });
    this.#path = socketPath(userData);
    if (existsSync(this.#path) && this.#isTaken(handedOver)) return false;
    // Left behind by one that was killed.
    rmSync(this.#path, { force: true });
    this.#listen();
    return true;
  }

  release(): void {
    // One that handed over must not take the socket away from the one that has it.
    if (this.#server === null) return;
    this.#server.close();
    this.#server = null;
    rmSync(this.#path, { force: true });
  }

  #isTaken(handedOver: HandedOver): boolean {
    const { status } = spawnSync(this.#nodePath, ['-e', HAND_OVER, this.#path], {
      input: JSON.stringify(handedOver),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    return status === 0;
  }

  #listen(): void {
    this.#server = createServer((socket) => {
      let text = '';
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (!text.endsWith('\n')) return;
        socket.end('taken');
        this.#taken(JSON.parse(text) as HandedOver);
      });
    });
    this.#server.listen(this.#path);
    this.#server.unref();
  }
}

function socketPath(userData: string): string {
  const path = join(userData, 'SingletonSocket');
  if (Buffer.byteLength(path) < LONGEST_PATH) return path;
  return join(tmpdir(), `godwit-standin-${createHash('sha256').update(userData).digest('hex').slice(0, 16)}.sock`);
}
