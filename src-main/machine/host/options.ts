// SPDX-License-Identifier: Apache-2.0
/** The options of one machine process: `godwit vm` and the machine's entry take exactly these. */
import type { Command } from 'commander';
import {
  DEFAULT_DIRTY_RATE,
  DEFAULT_MEMORY,
  MAX_CPUS,
  defaultWorkingSet,
  parseCount,
  parseDirtyRate,
  parseMemory,
  parseWorkingSet,
  quote,
} from '../../../src-shared/machine-settings.ts';
import { formatSizeExactly, parseSize } from '../../../src-shared/sizes.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';
import type { DemoGuestOptions, IncomingOption, LoadedFile, MachineOptions, SerialTarget } from './machine-options.ts';

const MIB = 1024 ** 2;
/** sun_path of a unix socket holds 108 bytes with its final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
const CPU_MODELS = ['x86-64-v2', 'x86-64-v3', 'host'] as const;
/** What every KVM takes: some keep 576 entries of a ring in reserve, and none takes more than 65536. */
const DIRTY_RING = { min: 1024, max: 65536 } as const;

/** What commander hands over: every option as text. */
export interface MachineOptionTexts {
  readonly qmp?: readonly string[];
  readonly name?: string;
  readonly machine?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly cpu?: string;
  readonly guest?: string;
  readonly load?: readonly string[];
  readonly incoming?: string;
  readonly serial?: string;
  readonly paused?: boolean;
  readonly hugePages?: string;
  readonly uuid?: string;
  readonly onlyMigratable?: boolean;
  readonly dirtyRingSize?: string;
  readonly xGodwitSendConfiguration?: string;
  readonly xGodwitSendSectionFooter?: string;
  readonly xGodwitStoreGlobalState?: string;
}

const collect = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];

/** Declares the options on a command. Values stay text: {@link parseMachineOptions} checks them. */
export function defineMachineOptions(command: Command): Command {
  return command
    .option('--qmp <unix:PATH>', 'QMP socket to listen on; may be given twice (each serves one client)', collect)
    .option('--name <name>', 'name of the machine')
    .option('--machine <type>', 'none (RAM only) or microvm (default: microvm)')
    .option('--memory <size>', 'RAM, such as 256M or 4G (default: 256M)')
    .option('--cpus <n>', 'virtual CPUs, 1 to 16 (default: 1)')
    .option('--cpu <model>', 'x86-64-v2, x86-64-v3 or host (default: x86-64-v2)')
    .option('--guest <guest>', 'demo[,dirty-rate=PAGES/S][,working-set=SIZE][,seed=N]')
    .option('--load <FILE@ADDR>', 'copy a file to a guest physical address (machine none); may be repeated', collect)
    .option('--incoming <defer|URI>', 'wait for an incoming migration: by QMP command, or at once on URI')
    .option('--serial <file:PATH|stdio>', 'where the serial port writes')
    .option('--paused', 'do not run the guest until `cont`')
    .option('--huge-pages <size>', 'back RAM with huge pages of this size (2M)')
    .option('--uuid <uuid>', 'UUID of the machine')
    .option('--only-migratable', 'refuse anything that cannot migrate')
    .option('--dirty-ring-size <n>', 'track dirty pages with KVM rings of this many entries')
    .option('--x-godwit-send-configuration <on|off>', 'the stream begins with the configuration section (default: on)')
    .option('--x-godwit-send-section-footer <on|off>', 'every section ends with a footer (default: on)')
    .option('--x-godwit-store-global-state <on|off>', "the guest's run state travels with it (default: on)");
}

/** Checks the texts; every problem is a {@link UsageError} whose sentence names the option and the remedy. */
export function parseMachineOptions(texts: MachineOptionTexts): MachineOptions {
  const machine = parseMachineType(texts.machine);
  const memoryBytes = parseMemory('--memory', texts.memory ?? DEFAULT_MEMORY);
  const options: MachineOptions = {
    qmp: parseQmpSockets(texts.qmp ?? []),
    name: parseName(texts.name),
    machine,
    memoryBytes,
    cpus: machine === 'none' ? 0 : parseCount('--cpus', texts.cpus ?? '1', 1, MAX_CPUS),
    cpu: parseCpuModel(texts.cpu),
    guest: texts.guest === undefined ? undefined : parseGuest(texts.guest, memoryBytes),
    load: (texts.load ?? []).map((text) => parseLoad(text, memoryBytes)),
    incoming: parseIncoming(texts.incoming),
    serial: parseSerial(texts.serial),
    paused: texts.paused === true,
    hugePageBytes: parseHugePages(texts.hugePages, memoryBytes),
    uuid: parseUuid(texts.uuid),
    onlyMigratable: texts.onlyMigratable === true,
    dirtyRingSize: parseDirtyRing(texts.dirtyRingSize),
    streamForm: {
      sendConfiguration: parseSwitch('--x-godwit-send-configuration', texts.xGodwitSendConfiguration),
      sendSectionFooter: parseSwitch('--x-godwit-send-section-footer', texts.xGodwitSendSectionFooter),
      storeGlobalState: parseSwitch('--x-godwit-store-global-state', texts.xGodwitStoreGlobalState),
    },
  };
  checkCombination(texts, options);
  return options;
}

function checkCombination(texts: MachineOptionTexts, options: MachineOptions): void {
  if (options.machine === 'none') {
    for (const name of ['cpus', 'cpu', 'guest', 'serial', 'dirtyRingSize'] as const) {
      if (texts[name] !== undefined) {
        const option = name === 'dirtyRingSize' ? 'dirty-ring-size' : name;
        throw new UsageError(`--${option} needs a machine with vCPUs: leave it out, or use --machine microvm`);
      }
    }
    if (options.load.length > 0 && options.incoming) {
      throw new UsageError('--load and --incoming exclude each other: memory arrives with the migration');
    }
    return;
  }
  if (options.load.length > 0) {
    throw new UsageError('--load needs --machine none: the demo guest of a microvm owns all of its RAM');
  }
  if (options.guest && options.incoming) {
    throw new UsageError('--guest and --incoming exclude each other: the guest arrives with the migration');
  }
  if (!options.guest && !options.incoming && !options.paused) {
    throw new UsageError('nothing to run: give --guest demo, --incoming defer or --paused');
  }
}

function parseMachineType(text = 'microvm'): MachineOptions['machine'] {
  if (text === 'none' || text === 'microvm') return text;
  throw new UsageError(`--machine ${quote(text)} is not known: use none or microvm`);
}

function parseCpuModel(text = 'x86-64-v2'): MachineOptions['cpu'] {
  const model = CPU_MODELS.find((known) => known === text);
  if (model) return model;
  throw new UsageError(`--cpu ${quote(text)} is not known: use ${CPU_MODELS.join(', ')}`);
}

function parseQmpSockets(texts: readonly string[]): string[] {
  if (texts.length === 0) throw new UsageError('--qmp unix:PATH is missing: a machine is driven through that socket');
  if (texts.length > 2) throw new UsageError('--qmp may be given twice at most');
  const paths = texts.map((text) => {
    const path = text.startsWith('unix:') ? text.slice('unix:'.length) : '';
    if (path === '') throw new UsageError(`--qmp ${quote(text)} is not understood: write it as unix:PATH`);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw new UsageError(`--qmp ${quote(text)} is too long: the path of a unix socket has at most 107 bytes`);
    }
    return path;
  });
  if (new Set(paths).size < paths.length) throw new UsageError('--qmp was given the same path twice: use two paths');
  return paths;
}

function parseName(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (/^[^\p{Cc}]{1,255}$/u.test(text)) return text;
  throw new UsageError('--name must have 1 to 255 printable characters');
}

/** `demo[,dirty-rate=N][,working-set=SIZE][,seed=N]`. */
function parseGuest(text: string, memoryBytes: number): DemoGuestOptions {
  const [kind, ...settings] = text.split(',');
  if (kind !== 'demo') throw new UsageError(`--guest ${quote(text)} is not known: the one guest is demo`);
  const given = new Map<string, string>();
  for (const setting of settings) {
    const at = setting.indexOf('=');
    const name = at < 0 ? setting : setting.slice(0, at);
    if (!['dirty-rate', 'working-set', 'seed'].includes(name)) {
      throw new UsageError(`--guest demo has no setting ${quote(name)}: use dirty-rate, working-set or seed`);
    }
    if (at < 0) throw new UsageError(`--guest demo: ${name} has no value: write it as ${name}=VALUE`);
    if (given.has(name)) throw new UsageError(`--guest demo: ${name} is given twice`);
    given.set(name, setting.slice(at + 1));
  }
  const workingSet = given.get('working-set');
  return {
    kind: 'demo',
    dirtyRate: parseDirtyRate('--guest demo: dirty-rate', given.get('dirty-rate') ?? DEFAULT_DIRTY_RATE, 0),
    workingSetBytes:
      workingSet === undefined
        ? defaultWorkingSet(memoryBytes)
        : parseWorkingSet('--guest demo: working-set', workingSet, memoryBytes),
    seed: parseSeed(given.get('seed') ?? '1'),
  };
}

function parseSeed(text: string): bigint {
  if (/^(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(text) && BigInt(text) < 1n << 64n) return BigInt(text);
  throw new UsageError(`--guest demo: seed ${quote(text)} is not a number of 64 bits`);
}

function parseLoad(text: string, memoryBytes: number): LoadedFile {
  const at = text.lastIndexOf('@');
  const file = text.slice(0, Math.max(at, 0));
  if (file === '') throw new UsageError(`--load ${quote(text)} is not understood: write it as FILE@ADDRESS`);
  const place = text.slice(at + 1);
  const address = /^0x[0-9a-f]{1,13}$/i.test(place) ? Number(place) : parseSize(place);
  if (address === undefined) {
    throw new UsageError(`--load ${quote(text)}: ${quote(place)} is not an address: write it as 0x100000 or 1M`);
  }
  if (address >= memoryBytes) {
    throw new UsageError(`--load ${quote(text)}: the address lies beyond ${formatSizeExactly(memoryBytes)} of memory`);
  }
  return { file, address };
}

function parseIncoming(text: string | undefined): IncomingOption | undefined {
  if (text === undefined) return undefined;
  if (text === 'defer') return { kind: 'defer' };
  if (/^[a-z]+:./.test(text)) return { kind: 'uri', uri: text };
  throw new UsageError(`--incoming ${quote(text)} is not understood: use defer, tcp:HOST:PORT or unix:PATH`);
}

function parseSerial(text: string | undefined): SerialTarget | undefined {
  if (text === undefined) return undefined;
  if (text === 'stdio') return { kind: 'stdio' };
  const path = text.startsWith('file:') ? text.slice('file:'.length) : '';
  if (path !== '') return { kind: 'file', path };
  throw new UsageError(`--serial ${quote(text)} is not understood: use file:PATH or stdio`);
}

function parseHugePages(text: string | undefined, memoryBytes: number): number | undefined {
  if (text === undefined) return undefined;
  if (parseSize(text) !== 2 * MIB) throw new UsageError(`--huge-pages ${quote(text)} is not supported: use 2M`);
  if (memoryBytes % (2 * MIB) !== 0) {
    throw new UsageError('--huge-pages 2M needs memory in multiples of 2M: change --memory');
  }
  return 2 * MIB;
}

function parseUuid(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text.toLowerCase();
  throw new UsageError(`--uuid ${quote(text)} is not a UUID: make one with uuidgen`);
}

function parseDirtyRing(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = parseCount('--dirty-ring-size', text, DIRTY_RING.min, DIRTY_RING.max);
  if ((value & (value - 1)) === 0) return value;
  throw new UsageError(`--dirty-ring-size ${quote(text)} is not a power of two: use 1024, 2048, … 65536`);
}

/** On unless it was switched off. */
function parseSwitch(option: string, text = 'on'): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new UsageError(`${option} ${quote(text)} is not understood: use on or off`);
}
