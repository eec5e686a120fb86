// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { isCommand, userArguments } from '../../../src-main/shells/electron/command-line.ts';

const LINK = 'godwit://run/0b0f5a52-7a7c-4a8e-9f5e-2f7f0b0c9d11';

describe('what a user gave to the app', () => {
  it.each([
    [['electron', 'out/app'], true, []],
    [['electron', 'out/app', 'demo', '--json'], true, ['demo', '--json']],
    [['electron', '--no-sandbox', '--inspect=0', 'out/app', LINK], true, [LINK]],
    [['electron'], true, []],
    [['godwit-desktop'], false, []],
    [['godwit-desktop', LINK], false, [LINK]],
    [
      ['godwit-desktop', '--no-sandbox', 'inspect', '/srv/vm.state', '--json'],
      false,
      ['inspect', '/srv/vm.state', '--json'],
    ],
    [['godwit-desktop', '--ozone-platform=wayland'], false, []],
  ])('is found in %j', (argv, isDefaultApp, args) => {
    expect(userArguments(argv, isDefaultApp)).toEqual(args);
  });

  it.each([
    [['demo'], true],
    [['history', 'list'], true],
    [[], false],
    [[LINK], false],
    [['/srv/vm.state'], false],
    [['Demo'], false],
  ])('is a command or not: %j', (args, expected) => {
    expect(isCommand(args)).toBe(expected);
  });
});
