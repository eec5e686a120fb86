// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { deadlines } from '../deadlines.ts';
import { lastWordsOf, MACHINE_ENTRY } from '../machines/builtin.ts';
import { nodeEnvironment } from './node-environment.ts';

const report = z.object({
  kvm: z.object({ apiVersion: z.number(), capabilities: z.record(z.string(), z.number()) }).nullable(),
  kvmError: z.string().nullable(),
  userfaultfd: z.object({ features: z.string(), through: z.enum(['device', 'syscall']) }).nullable(),
  userfaultfdError: z.string().nullable(),
  zeroScan: z.string(),
  node: z.string(),
});
/** What a machine process says about this box. */
export type MachineProbe = z.infer<typeof report>;

const run = promisify(execFile);

/** Asks a machine process started with `--probe`; a sentence instead when it could not answer. */
export async function probeMachine(): Promise<MachineProbe | { readonly error: string }> {
  try {
    const { stdout } = await run(process.execPath, [MACHINE_ENTRY, '--probe'], {
      timeout: deadlines.probe,
      maxBuffer: 1024 * 1024,
      env: nodeEnvironment(),
    });
    return report.parse(JSON.parse(stdout));
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? lastWordsOf(String(error.stderr)) : '';
    return { error: stderr !== '' ? stderr : error instanceof Error ? error.message : String(error) };
  }
}
