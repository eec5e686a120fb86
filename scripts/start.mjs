// SPDX-License-Identifier: Apache-2.0
// npm start: shows Godwit at work, one live migration from end to end. Arguments go on to `godwit demo`.
const cli = new URL('../src-main/shells/cli/main.ts', import.meta.url);
process.argv = [process.argv[0], cli.pathname, 'demo', ...process.argv.slice(2)];
await import(cli.href);
