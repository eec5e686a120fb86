// SPDX-License-Identifier: Apache-2.0
// Loaded before the module of a utility process: gives it what Electron gives it.
import { EventEmitter } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedElectron } from './installed.ts';
import { provideElectron } from './module-hooks.ts';
import { forkAsNode } from './run-as-node.ts';
import { absent, strict } from './strict.ts';

const here = dirname(fileURLToPath(import.meta.url));

class ParentPort extends EventEmitter {
  postMessage(message) {
    if (process.connected) process.send(message);
  }

  start() {
    // Messages come from the beginning.
  }
}

const executable = join(here, 'runtime', 'electron');
process.execPath = executable;
process.argv[0] = executable;
Object.defineProperty(process.versions, 'electron', { value: installedElectron.version, enumerable: true });
Object.defineProperty(process.versions, 'chrome', { value: installedElectron.chrome, enumerable: true });
process.type = 'utility';
process.parentPort = new ParentPort();
delete process.env.ELECTRON_RUN_AS_NODE;
process.on('message', (data) => process.parentPort.emit('message', { data, ports: [] }));
// However the main process ended, its utility processes end too.
process.on('disconnect', () => process.exit(1));
forkAsNode();
provideElectron(
  strict('electron', { net: absent('net in a utility process'), systemPreferences: absent('systemPreferences') }),
  ['net', 'systemPreferences'],
);
