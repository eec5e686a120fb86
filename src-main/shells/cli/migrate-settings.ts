// SPDX-License-Identifier: Apache-2.0
/** The settings of `godwit migrate`: a profile, and what the command line changes of it. */
import { existsSync, readFileSync } from 'node:fs';
import {
  applyCapabilities,
  CAPABILITY_NAMES,
  DEFAULT_CAPABILITIES,
} from '../../../src-shared/migration/capabilities.ts';
import {
  applyParameters,
  DEFAULT_PARAMETERS,
  PARAMETER_TYPES,
  type ParameterName,
  type ParameterType,
} from '../../../src-shared/migration/parameters.ts';
import { quote } from '../../../src-shared/machine-settings.ts';
import { plainText } from '../../../src-shared/plain-text.ts';
import {
  profile as profileSchema,
  SHIPPED_PROFILES,
  type MigrationSettings,
  type Profile,
} from '../../../src-shared/profile.ts';
import { parseSize } from '../../../src-shared/sizes.ts';
import { UsageError } from '../../../src-shared/usage-error.ts';

/** A profile file is a few lines. */
const MAX_PROFILE_BYTES = 64 * 1024;

export interface SettingTexts {
  readonly profile?: string;
  readonly set: readonly string[];
  readonly cap: readonly string[];
}

export interface ChosenSettings {
  readonly profileName: string;
  readonly settings: MigrationSettings;
}

/** Saved profiles by name; asked only where no other profile has the name. */
export type SavedProfiles = () => Promise<readonly { readonly id: string; readonly profile: Profile }[]>;

/** Every problem is a UsageError that names the option and the remedy. */
export async function chooseSettings(texts: SettingTexts, saved: SavedProfiles): Promise<ChosenSettings> {
  const chosen = texts.profile === undefined ? undefined : await findProfile(texts.profile, saved);
  const parameters: Record<string, unknown> = { ...chosen?.settings.parameters };
  for (const text of texts.set) {
    const [name, value] = parseSetting(text);
    parameters[name] = value;
  }
  const capabilities = { ...chosen?.settings.capabilities } as Record<string, boolean>;
  for (const text of texts.cap) {
    const [name, state] = parseCapability(text);
    capabilities[name] = state;
  }
  check(capabilities, parameters);
  const changed = texts.set.length + texts.cap.length > 0;
  const name = chosen?.name ?? 'QEMU defaults';
  return {
    profileName: changed ? `${name}, changed` : name,
    settings: { capabilities, parameters: parameters as MigrationSettings['parameters'] },
  };
}

async function findProfile(text: string, saved: SavedProfiles): Promise<Profile> {
  const called = ({ id, name }: { readonly id: string; readonly name: string }): boolean =>
    id === text || name.toLowerCase() === text.toLowerCase();
  const shipped = SHIPPED_PROFILES.find(called);
  if (shipped !== undefined) return shipped;
  if (existsSync(text)) return readProfile(text);
  const found = (await saved()).find(({ id, profile }) => called({ id, name: profile.name }))?.profile;
  if (found !== undefined) return found;
  const names = SHIPPED_PROFILES.map(({ id }) => id).join(', ');
  throw new UsageError(`--profile ${quote(text)} is neither a profile (${names}, or one that you saved) nor a file`);
}

function readProfile(path: string): Profile {
  let value: unknown;
  try {
    const text = readFileSync(path);
    if (text.length > MAX_PROFILE_BYTES) throw new Error('it is too long for a profile');
    value = JSON.parse(text.toString('utf8'));
  } catch (error) {
    throw new UsageError(
      `--profile ${quote(path)} cannot be read: ${plainText(error instanceof Error ? error.message : '')}`,
    );
  }
  const checked = profileSchema.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const where = issue?.path.map(String).join('.') ?? '';
  throw new UsageError(
    `--profile ${quote(path)} is no profile: ${where === '' ? '' : `${where}: `}${issue?.message ?? ''}`,
  );
}

function parseSetting(text: string): [ParameterName, unknown] {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (at < 0) throw new UsageError(`--set ${quote(text)} has no value: write it as NAME=VALUE`);
  if (!Object.hasOwn(PARAMETER_TYPES, name)) {
    throw new UsageError(`--set ${quote(name)} is no migration parameter: they are QEMU's, such as max-bandwidth`);
  }
  const parameter = name as ParameterName;
  return [parameter, parseValue(parameter, text.slice(at + 1), PARAMETER_TYPES[parameter])];
}

function parseValue(name: ParameterName, text: string, type: ParameterType): unknown {
  const refuse = (expected: string): UsageError => new UsageError(`--set ${name}: ${quote(text)} is not ${expected}`);
  if (typeof type === 'object') {
    if (type.oneOf.includes(text)) return text;
    throw refuse(`one of ${type.oneOf.join(', ')}`);
  }
  switch (type) {
    case 'size': {
      const size = parseSize(text);
      if (size === undefined) throw refuse('a size: write it as 64M or 0');
      return size;
    }
    case 'u64':
    case 'u32':
    case 'u8':
      if (/^\d{1,15}$/.test(text)) return Number(text);
      throw refuse('a whole number');
    case 'bool':
      if (text === 'on' || text === 'off') return text === 'on';
      throw refuse('on or off');
    case 'text-or-null':
      return text;
    case 'bitmap-mapping':
      throw new UsageError(`--set ${name} cannot be given on the command line: no machine of ours has disks yet`);
  }
}

function parseCapability(text: string): [string, boolean] {
  const [name = '', state = 'on', ...rest] = text.split('=');
  if (rest.length > 0 || (state !== 'on' && state !== 'off')) {
    throw new UsageError(`--cap ${quote(text)} is not understood: write it as NAME or NAME=off`);
  }
  if (!CAPABILITY_NAMES.some((known) => known === name)) {
    throw new UsageError(`--cap ${quote(name)} is no migration capability: they are QEMU's, such as auto-converge`);
  }
  return [name, state === 'on'];
}

/** As the ends would: what excludes each other or is out of range is said before anything is touched. */
function check(capabilities: Readonly<Record<string, boolean>>, parameters: Readonly<Record<string, unknown>>): void {
  const request = Object.entries({ 'return-path': true, ...capabilities }).map(([capability, state]) => ({
    capability: capability as (typeof CAPABILITY_NAMES)[number],
    state,
  }));
  const outcome = applyCapabilities(request, { current: DEFAULT_CAPABILITIES, incoming: 'none', dirtyRing: true });
  if (!outcome.ok) throw new UsageError(outcome.sentence);
  const checked = applyParameters(DEFAULT_PARAMETERS, parameters);
  if (!checked.ok) throw new UsageError(checked.sentence);
}
