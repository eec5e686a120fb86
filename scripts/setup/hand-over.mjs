// SPDX-License-Identifier: Apache-2.0
// Runs the script on Node 24 as a child that shares our terminal: signals go on to it, its exit code comes back.
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { node24, toolEnvironment } from './node24.mjs';
import { watchParent } from './watch-parent.mjs';

// How long a script may take to clean up after its starter died, before it is killed.
const LAST_GRACE_MS = 10_000;

/** Answers the exit code, 128 + number for a signal. */
export function handOver(root, script, args) {
  const { node } = node24(root);
  const env = toolEnvironment(root);
  // Saves stripping the types of every .ts file at each start.
  env.NODE_COMPILE_CACHE ??= path.join(root, 'node_modules', '.cache', 'node-compile');
  return new Promise((resolve) => {
    // Not spawnSync: that would leave the child running when a signal ends us.
    const given = descriptorsIn(args);
    const child = spawn(node, [script, ...args], { stdio: stdioWith(given), env });
    // A peer sees the end of its connection only when nobody holds it any more.
    for (const descriptor of given) closeSync(descriptor);
    const forward = (signal) => {
      if (signal === 'SIGINT' && terminalSignalsChildToo()) return;
      child.kill(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    watchParent(() => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), LAST_GRACE_MS).unref();
    });
    child.on('error', (error) => {
      console.error(`godwit: ${node} cannot be started: ${error.message}`);
      resolve(1);
    });
    child.on('exit', (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal]));
  });
}

/** Descriptors of ours that the arguments name (`--incoming fd:3`): the script is to have them by the same numbers. */
function descriptorsIn(args) {
  const named = args.flatMap((arg) => [...arg.matchAll(/(?:^|=)fd:(\d{1,3})$/g)].map((match) => Number(match[1])));
  return [...new Set(named)].filter((descriptor) => descriptor > 2 && isOpen(descriptor));
}

function isOpen(descriptor) {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false; // the script will say so
  }
}

function stdioWith(descriptors) {
  const stdio = ['inherit', 'inherit', 'inherit'];
  for (const descriptor of descriptors) stdio[descriptor] = descriptor;
  return Array.from(stdio, (entry) => entry ?? 'ignore');
}

/**
 * Ctrl-C reaches every process of the terminal's foreground group, the child as well (and npm then signals us once
 * more): passing it on would make one key press two or three interrupts.
 */
function terminalSignalsChildToo() {
  // proc(5), /proc/PID/stat after the command's closing bracket: state ppid pgrp session tty_nr tpgid
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return fields[2] === fields[5];
}
