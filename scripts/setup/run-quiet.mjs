// SPDX-License-Identifier: Apache-2.0
// Runs a tool of the set-up: one line on stderr while it works, its output only when it fails.
import { spawn } from 'node:child_process';
import { isEnding, trackChild } from './children.mjs';
import { SetupError } from './setup-error.mjs';

/**
 * @param {string} what the work in progressive form, for the user: "installing the npm packages"
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, lock: number }} options `lock`: descriptor that the tool
 *   keeps open while it lives, see setup-lock.mjs
 */
export async function runQuiet(what, command, args, options) {
  const started = performance.now();
  process.stderr.write(`godwit: ${what} … `);
  const { code, output } = await capture(command, args, options);
  if (isEnding()) {
    process.stderr.write('interrupted\n');
    throw new SetupError(`${what} was interrupted.`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stderr.write(code === 0 ? `${seconds} s\n` : 'failed\n');
  if (code !== 0) throw new SetupError(`${what} failed (${code}):\n${output.trimEnd()}`);
}

function capture(command, args, { lock, ...options }) {
  const stdio = ['ignore', 'pipe', 'pipe', lock];
  return new Promise((resolve) => {
    const child = trackChild(spawn(command, args, { ...options, stdio, detached: true }));
    let output = '';
    const keep = (chunk) => (output += chunk);
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => resolve({ code: error.code ?? 'error', output: `${command}: ${error.message}` }));
    child.on('close', (code, signal) => resolve({ code: signal ?? code, output }));
  });
}
