// SPDX-License-Identifier: Apache-2.0
/** A screen for tests that nobody looks at but them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { readXwd, toPng, type Picture } from './xwd.ts';

const SCREEN = '1400x900x24';

export class VirtualScreen {
  /** What the environment variable DISPLAY is to be. */
  readonly display: string;
  readonly #xvfb: ChildProcess;
  readonly #folder: string;

  private constructor(display: string, xvfb: ChildProcess, folder: string) {
    this.display = display;
    this.#xvfb = xvfb;
    this.#folder = folder;
  }

  /** Starts Xvfb on a number that is free. */
  static async start(): Promise<VirtualScreen> {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-screen-'));
    const args = ['-displayfd', '3', '-fbdir', folder, '-screen', '0', SCREEN, '-nolisten', 'tcp'];
    const xvfb = spawn('Xvfb', args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    try {
      return new VirtualScreen(`:${await numberFrom(xvfb)}`, xvfb, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** What is on the screen now. */
  picture(): Picture {
    return readXwd(readFileSync(join(this.#folder, 'Xvfb_screen0')));
  }

  /** As a PNG file. */
  async screenshot(): Promise<Buffer> {
    return toPng(this.picture());
  }

  async dispose(): Promise<void> {
    if (this.#xvfb.exitCode === null && this.#xvfb.signalCode === null) {
      const ended = new Promise((resolve) => this.#xvfb.once('exit', resolve));
      this.#xvfb.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function numberFrom(xvfb: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    (xvfb.stdio[3] as Readable).on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.endsWith('\n')) resolve(text.trim());
    });
    xvfb.once('error', reject);
    xvfb.once('exit', (code) => reject(new Error(`Xvfb ended with ${code ?? 'a signal'}.`)));
  });
}
