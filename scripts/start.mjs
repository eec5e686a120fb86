// SPDX-License-Identifier: Apache-2.0
// npm start: opens the app, as `godwit` alone does. Arguments go on to `godwit serve`.
const cli = new URL('../src-main/shells/cli/main.ts', import.meta.url);
const args = process.argv.slice(2);
process.argv = [process.argv[0], cli.pathname, ...(args.length === 0 ? [] : ['serve', '--open', ...args])];
await import(cli.href);
