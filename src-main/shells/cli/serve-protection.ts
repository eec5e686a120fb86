// SPDX-License-Identifier: Apache-2.0
/** What a listener beyond loopback needs: TLS and a password. */
import { readFileSync } from 'node:fs';
import { quote } from '../../../src-shared/machine-settings.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import { isLoopback } from '../served/binding.ts';
import type { ServeOptions } from '../served/server.ts';

const SHORTEST_PASSWORD = 8;

export interface ProtectionTexts {
  readonly host: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly passwordFile?: string;
}

/** Undefined where none is asked for and none is needed. Throws UsageError with the command that helps. */
export async function protection(texts: ProtectionTexts): Promise<ServeOptions['tls']> {
  const { tlsCert, tlsKey, passwordFile, host } = texts;
  if (tlsCert === undefined && tlsKey === undefined && passwordFile === undefined) {
    if (isLoopback(host)) return undefined;
    throw new UsageError(
      `--host ${quote(host)} can be reached from other boxes, so it needs TLS and a password: ` +
        `godwit serve --host ${host} --tls-cert FILE --tls-key FILE --password-file FILE`,
    );
  }
  if (tlsCert === undefined || tlsKey === undefined || passwordFile === undefined) {
    throw new UsageError('--tls-cert, --tls-key and --password-file go together: give all three');
  }
  const [line = ''] = readText('--password-file', passwordFile).split('\n');
  const password = line.replace(/\r$/u, '');
  if (password.trim().length < SHORTEST_PASSWORD) {
    throw new UsageError(
      `--password-file ${quote(passwordFile)} holds a password of fewer than ${String(SHORTEST_PASSWORD)} characters on its first line`,
    );
  }
  const cert = readText('--tls-cert', tlsCert);
  const key = readText('--tls-key', tlsKey);
  const [{ createSecureContext }, { hashPassword }] = await Promise.all([
    import('node:tls'),
    import('../served/password-login.ts'),
  ]);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--tls-cert and --tls-key cannot be used as PEM files that belong together: ${reason}`);
  }
  return { cert, key, passwordHash: await hashPassword(password) };
}

function readText(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new UsageError(`${option} ${quote(path)} cannot be read (${code})`);
  }
}
