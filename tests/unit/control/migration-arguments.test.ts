// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { checkArguments, type ObjectSchema } from '../../../src-main/control/arguments.ts';
import type { JsonInput } from '../../../src-main/control/json.ts';
import {
  migrateArguments,
  migrateContinueArguments,
  migrateIncomingArguments,
  migrateRecoverArguments,
  setCapabilitiesArguments,
  setParametersArguments,
} from '../../../src-main/control/migration-arguments.ts';
import { CAPABILITY_NAMES } from '../../../src-shared/migration/capabilities.ts';
import { DEFAULT_PARAMETERS, PARAMETER_NAMES } from '../../../src-shared/migration/parameters.ts';

const refusal = (schema: ObjectSchema<unknown>, input: JsonInput): unknown => {
  try {
    return checkArguments(schema, input);
  } catch (error) {
    return (error as Error).message;
  }
};

describe('arguments of the migration commands', () => {
  it('know every parameter, with its default as a right value', () => {
    const defaults = DEFAULT_PARAMETERS as unknown as { [name: string]: JsonInput };
    expect(checkArguments(setParametersArguments, defaults)).toEqual(defaults);
    for (const name of PARAMETER_NAMES)
      expect(refusal(setParametersArguments, { [name]: { wrong: 1 } })).toContain(name);
    expect(checkArguments(setParametersArguments, {})).toEqual({});
  });

  it.each([
    [{ 'max-bandwidth': 1.5 }, "Parameter 'max-bandwidth' expects uint64"],
    [{ 'multifd-channels': 256 }, "Parameter 'multifd-channels' expects uint8_t"],
    [{ 'x-checkpoint-delay': -1 }, "Parameter 'x-checkpoint-delay' expects uint32_t"],
    [{ 'tls-creds': 5 }, "Invalid parameter type for 'tls-creds', expected: StrOrNull"],
    [{ 'multifd-compression': 'lzo' }, "Parameter 'multifd-compression' does not accept value 'lzo'"],
    [{ mode: 'cpr-reload' }, "Parameter 'mode' does not accept value 'cpr-reload'"],
    [{ 'block-bitmap-mapping': [{}] }, "Parameter 'block-bitmap-mapping[0].node-name' is missing"],
    [{ nope: 1 }, "Parameter 'nope' is unexpected"],
  ])('refuse parameters %j', (change, sentence) => {
    expect(refusal(setParametersArguments, change)).toBe(sentence);
  });

  it('take any list of capabilities', () => {
    const capabilities = CAPABILITY_NAMES.map((capability) => ({ capability, state: true }));
    expect(checkArguments(setCapabilitiesArguments, { capabilities })).toEqual({ capabilities });
    expect(refusal(setCapabilitiesArguments, {})).toBe("Parameter 'capabilities' is missing");
    expect(refusal(setCapabilitiesArguments, { capabilities: [{ capability: 'x', state: true }] })).toBe(
      "Parameter 'capability' does not accept value 'x'",
    );
    expect(refusal(setCapabilitiesArguments, { capabilities: [{ capability: 'events', state: 1 }] })).toBe(
      "Invalid parameter type for 'capabilities[0].state', expected: boolean",
    );
  });

  it('take an address as a uri or as a list of channels', () => {
    const addr = { transport: 'socket', type: 'inet', host: 'h', port: '1' };
    const channels = [{ 'channel-type': 'main', addr }];
    expect(checkArguments(migrateArguments, { uri: 'tcp:h:1', resume: true })).toEqual({
      uri: 'tcp:h:1',
      resume: true,
    });
    expect(checkArguments(migrateArguments, { channels })).toEqual({ channels });
    expect(checkArguments(migrateIncomingArguments, { channels, 'exit-on-error': false })).toEqual({
      channels,
      'exit-on-error': false,
    });
  });

  it.each([
    [{ x: 1 }, "Parameter 'x' is unexpected"],
    [{ uri: 5 }, "Invalid parameter type for 'uri', expected: string"],
    [{ channels: [{}] }, "Parameter 'channels[0].channel-type' is missing"],
    [{ channels: [{ 'channel-type': 'main' }] }, "Parameter 'channels[0].addr' is missing"],
    [
      { channels: [{ 'channel-type': 'main', addr: { transport: 'socket', type: 'inet', host: 'h', port: 1 } }] },
      "Invalid parameter type for 'channels[0].addr.port', expected: string",
    ],
    [
      { channels: [{ 'channel-type': 'main', addr: { transport: 'pigeon' } }] },
      "Parameter 'transport' does not accept value 'pigeon'",
    ],
    [
      { channels: [{ 'channel-type': 'main', addr: { transport: 'file', filename: 'f' } }] },
      "Parameter 'channels[0].addr.offset' is missing",
    ],
  ])('refuse the address %j', (input, sentence) => {
    expect(refusal(migrateArguments, input)).toBe(sentence);
  });

  it('name the status to continue from and the address to recover at', () => {
    expect(checkArguments(migrateContinueArguments, { state: 'pre-switchover' })).toEqual({ state: 'pre-switchover' });
    expect(refusal(migrateContinueArguments, { state: 'x' })).toBe("Parameter 'state' does not accept value 'x'");
    expect(refusal(migrateRecoverArguments, {})).toBe("Parameter 'uri' is missing");
  });
});
