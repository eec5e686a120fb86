// SPDX-License-Identifier: Apache-2.0
// Compiles C++ files and links them. An object is kept as long as the contents of all that went into it are the same.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root, runCommand } from './command.ts';

// A compiler with a sanitizer takes up to a GiB.
const COMPILERS = 2;

export interface CxxProgram {
  /** Where objects and program go; paths are from the root of the repository. Programs may share objects. */
  readonly folder: string;
  readonly name: string;
  readonly compiler: 'g++' | 'clang++';
  readonly sources: readonly string[];
  readonly compileFlags: (source: string) => readonly string[];
  readonly linkFlags: readonly string[];
}

/** What went into an object: the command, and the hash of every file that the compiler read (system headers apart). */
interface Inputs {
  readonly command: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Answers the program's path, or the compiler's complaints. */
export async function buildCxx(
  program: CxxProgram,
  signal: AbortSignal,
): Promise<{ readonly binary: string } | { readonly complaints: string }> {
  mkdirSync(path.join(root, program.folder), { recursive: true });
  const { output: compiler } = await runCommand(program.compiler, ['--version'], { signal, capture: true });
  const complaints: string[] = [];
  const queue = [...program.sources];
  const work = async (): Promise<void> => {
    for (let source = queue.shift(); source !== undefined && complaints.length === 0; source = queue.shift()) {
      const complaint = await compile(program, source, compiler, signal);
      if (complaint !== null) complaints.push(complaint);
    }
  };
  await Promise.all(Array.from({ length: COMPILERS }, work));
  if (complaints.length > 0) return { complaints: complaints.join('\n') };

  const binary = path.join(root, program.folder, program.name);
  const objects = program.sources.map((source) => objectOf(program, source));
  const args = [...program.linkFlags, '-o', binary, ...objects];
  const { code, output } = await runCommand(program.compiler, args, { signal, capture: true });
  return code === 0 ? { binary } : { complaints: output };
}

async function compile(
  program: CxxProgram,
  source: string,
  compiler: string,
  signal: AbortSignal,
): Promise<string | null> {
  const object = objectOf(program, source);
  const args = [...program.compileFlags(source), '-MMD', '-MF', `${object}.d`, '-c', source, '-o', object];
  const command = `${compiler}\n${args.join(' ')}`;
  if (isCurrent(object, command)) return null;
  const { code, output } = await runCommand(program.compiler, args, { signal, capture: true });
  if (code !== 0) return output === '' ? `${source}: the compiler was ended` : output;
  const files = filesRead(readFileSync(path.join(root, `${object}.d`), 'utf8'));
  const inputs: Inputs = { command, files: Object.fromEntries(files.map((file) => [file, hashOf(file)])) };
  writeFileSync(path.join(root, `${object}.json`), JSON.stringify(inputs, null, 1));
  return null;
}

function objectOf({ folder }: CxxProgram, source: string): string {
  return path.join(folder, `${source.replaceAll('/', '.')}.o`);
}

function isCurrent(object: string, command: string): boolean {
  const record = path.join(root, `${object}.json`);
  if (!existsSync(path.join(root, object)) || !existsSync(record)) return false;
  const inputs = JSON.parse(readFileSync(record, 'utf8')) as Inputs;
  return inputs.command === command && Object.entries(inputs.files).every(([file, hash]) => hashOf(file) === hash);
}

/** Prerequisites in a make rule as the compiler writes it. */
function filesRead(rule: string): string[] {
  return rule
    .slice(rule.indexOf(':') + 1)
    .split(/[\s\\]+/)
    .filter((file) => file !== '');
}

function hashOf(file: string): string {
  const absolute = path.resolve(root, file);
  return existsSync(absolute) ? createHash('sha256').update(readFileSync(absolute)).digest('hex') : 'missing';
}
