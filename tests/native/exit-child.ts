// SPDX-License-Identifier: Apache-2.0
/** Ends a process, or a worker's environment, in the middle of native work. The first argument says how. */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { native } from '../../src-main/machine/native/index.ts';
import {
  COUNT,
  COUNT_ALOUD,
  createTestMachine,
  eventually,
  MIB,
  readCounter,
  SERIAL_PORT,
  TRIPLE_FAULT,
} from './long-mode.ts';

async function runningMachine() {
  const made = await createTestMachine({ vcpus: 3, payload: COUNT_ALOUD, registers: { rdx: SERIAL_PORT } });
  made.machine.start();
  await eventually(async () => (await readCounter(made.memory)) > 10n);
  return made;
}

/** Work that is under way when the process ends. */
async function leaveWork(): Promise<void> {
  const { machine, memory } = await runningMachine();
  const big = new native.GuestMemory({ name: 'big.ram', sizeBytes: 512 * MIB });
  const ignored = () => undefined;
  big.populate().then(ignored, ignored);
  memory.dump('/dev/null', 0, 4 * MIB).then(ignored, ignored);
  machine.stop().then(ignored, ignored);
}

async function main(how: string): Promise<void> {
  switch (how) {
    case 'exit':
      await leaveWork();
      process.exit(7);
      break;
    case 'exit-in-callback': {
      const { machine } = await createTestMachine({ payload: TRIPLE_FAULT, onCrash: () => process.exit(7) });
      machine.start();
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      break;
    }
    case 'throw':
      await leaveWork();
      throw new Error('on purpose');
    case 'throw-in-callback': {
      process.on('uncaughtException', (error) => process.exit(error.message === 'on purpose' ? 7 : 1));
      const onCrash = () => {
        throw new Error('on purpose');
      };
      const { machine } = await createTestMachine({ payload: TRIPLE_FAULT, onCrash });
      machine.start();
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      break;
    }
    case 'return': {
      // Nothing is pending: a machine that runs does not keep the process alive.
      const { machine } = await createTestMachine({ payload: COUNT });
      machine.start();
      break;
    }
    case 'return-when-done': {
      // A pending promise does.
      const { machine } = await runningMachine();
      machine.close().then(
        () => process.stdout.write('closed'),
        () => undefined,
      );
      break;
    }
    case 'worker': {
      const worker = new Worker(new URL(import.meta.url), { workerData: 'leave' });
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
      break;
    }
    default:
      throw new Error(`unknown way to end: ${how}`);
  }
}

if (isMainThread) {
  await main(process.argv[2] ?? '');
} else if (workerData === 'leave') {
  const { parentPort } = await import('node:worker_threads');
  await leaveWork();
  parentPort?.postMessage('ready');
  await new Promise((resolve) => setTimeout(resolve, 20_000));
}
