// SPDX-License-Identifier: Apache-2.0
import * as electron from 'electron';

const [, , ...args] = process.argv;
const about = { args, type: process.type, electron: typeof process.versions.electron, names: Object.keys(electron) };
process.stdout.write(`${JSON.stringify(about)}\n`);
process.parentPort.on('message', ({ data }) => {
  if (data === 'exit') process.exit(3);
  else process.parentPort.postMessage({ echo: data });
});
