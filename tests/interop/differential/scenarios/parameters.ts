// SPDX-License-Identifier: Apache-2.0
/** Every parameter at its default, at its edges, out of range and of a wrong type (qmp-migration.md 5). */
import { DEFAULT_PARAMETERS, PARAMETER_NAMES, PARAMETER_TYPES } from '../../../../src-shared/migration/parameters.ts';
import type { ParameterName, ParameterType } from '../../../../src-shared/migration/parameters.ts';
import { ask, parameters, type Scenario } from '../scenario.ts';

/** Values around the edges of each range of the reference. */
const EDGES: Partial<Record<ParameterName, readonly unknown[]>> = {
  'announce-initial': [0, 100_000, 100_001],
  'announce-max': [0, 100_000, 100_001],
  'announce-rounds': [0, 1000, 1001],
  'announce-step': [0, 1, 10_000, 10_001],
  'compress-level': [0, 9, 10],
  'compress-threads': [0, 1, 255, 256],
  'decompress-threads': [0, 1, 255, 256],
  'throttle-trigger-threshold': [0, 1, 100, 101],
  'cpu-throttle-initial': [0, 1, 99, 100],
  'cpu-throttle-increment': [0, 1, 99, 100],
  'max-cpu-throttle': [19, 20, 99, 100],
  'downtime-limit': [0, 2_000_000, 2_000_001],
  'x-checkpoint-delay': [0, 4_294_967_295, 4_294_967_296],
  'multifd-channels': [0, 1, 255, 256],
  'multifd-zlib-level': [0, 9, 10],
  'multifd-zstd-level': [0, 20, 21],
  'xbzrle-cache-size': [0, 4095, 4096, 8192, 12_288, 1_073_741_824],
  'max-bandwidth': [0, 1, '9e18', -1],
  'max-postcopy-bandwidth': [0, 1, -1],
  'avail-switchover-bandwidth': [0, 1],
  'x-vcpu-dirty-limit-period': [0, 1, 1000, 1001],
  'vcpu-dirty-limit': [0, 1],
};

function valuesOf(name: ParameterName, type: ParameterType): readonly unknown[] {
  if (typeof type === 'object') return [...type.oneOf.filter((word) => word !== 'cpr-transfer'), 'nope', 7, null];
  switch (type) {
    case 'bool':
      return [true, false, 1, 'on'];
    case 'text-or-null':
      return ['some text', null, '', 7, true];
    case 'bitmap-mapping':
      return ['x', {}, 7];
    case 'size':
    case 'u64':
    case 'u32':
    case 'u8':
      return [...(EDGES[name] ?? []), -1, 1.5, '1', null, true, []];
  }
}

/** Godwit's own are none of QEMU's. */
const NAMES = PARAMETER_NAMES.filter((name) => !name.startsWith('x-godwit-'));

const each: Scenario[] = NAMES.map((name) => {
  const reset = DEFAULT_PARAMETERS[name];
  const query = ask('source', 'query-migrate-parameters', undefined, name);
  return {
    name: `parameter ${name}`,
    ends: 'shared',
    steps: [
      query,
      ...valuesOf(name, PARAMETER_TYPES[name]).flatMap((value) => [parameters('source', { [name]: value }), query]),
      ...(reset === undefined ? [] : [parameters('source', { [name]: reset }), query]),
    ],
  };
});

const together: Scenario[] = [
  {
    name: 'parameters are taken as a whole or not at all',
    ends: 'shared',
    steps: [
      parameters('source', { 'max-bandwidth': 5, 'downtime-limit': 2_000_001 }),
      ask('source', 'query-migrate-parameters', undefined, 'max-bandwidth'),
      parameters('source', { 'cpu-throttle-initial': 80, 'max-cpu-throttle': 70 }),
      parameters('source', { 'max-cpu-throttle': 50 }),
      parameters('source', { 'cpu-throttle-initial': 60 }),
      parameters('source', { 'cpu-throttle-initial': 20, 'max-cpu-throttle': 99 }),
      parameters('source', {}),
      parameters('source', { nope: 1 }),
      parameters('source', { 'announce-step': 20_000, 'announce-max': 200_000 }),
    ],
  },
];

export const parameterScenarios: readonly Scenario[] = [...each, ...together];
