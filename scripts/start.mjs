// SPDX-License-Identifier: Apache-2.0
// npm start: opens the app. Arguments go on to `godwit serve`.
const cli = new URL('../src-main/shells/cli/main.ts', import.meta.url);
console.log('There is no desktop window yet: Godwit opens in a browser of this box.');
process.argv = [process.argv[0], cli.pathname, 'serve', '--open', ...process.argv.slice(2)];
await import(cli.href);
