// SPDX-License-Identifier: Apache-2.0
const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|getaddrinfo|fetch failed|HTTPError/;

/** What went wrong while packing, in a sentence with the remedy. */
export function packagingFailure(error: unknown): string {
  const message = error instanceof Error ? error.message.trim() : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (NO_NETWORK.test(`${code} ${message}`)) {
    return (
      `what packing needs cannot be downloaded: ${firstLine(message)}. ` +
      'Try again with a network, give an unpacked Electron with --electron-dist DIR, or pack a plain folder with --dir.'
    );
  }
  if (message.includes('spawn fpm ENOENT')) {
    return 'fpm is not installed, and USE_SYSTEM_FPM asks for that of the system: install it, or leave the variable out.';
  }
  // A configuration that is refused is explained in several lines; a tool's failure has its output in them.
  return message;
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').replace(/\.$/, '');
