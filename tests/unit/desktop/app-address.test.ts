// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  documentAddress,
  isOurs,
  routeOfAddress,
  routeOfArguments,
} from '../../../src-main/shells/electron/app-address.ts';

const ID = '0b0f5a52-7a7c-4a8e-9f5e-2f7f0b0c9d11';

describe('an address of the page', () => {
  it.each([documentAddress(), documentAddress(`/runs/${ID}`), 'app://godwit', 'app://godwit/assets/x.js'])(
    'is %s',
    (address) => {
      expect(isOurs(address)).toBe(true);
    },
  );

  it.each([
    'app://godwit.example/',
    'app://godwit@example.com/',
    'app://godwit:80/',
    'app://other/',
    'https://godwit/',
    'file:///etc/passwd',
    'about:blank',
    'data:text/html,x',
    '',
  ])('is not %s', (address) => {
    expect(isOurs(address)).toBe(false);
  });
});

describe('the screen of an address', () => {
  it.each(['/machines', '/runs', '/history', '/settings', `/runs/${ID}`])('is %s', (route) => {
    expect(routeOfAddress(documentAddress(route))).toBe(route);
  });

  it.each([
    'app://godwit/',
    'app://godwit/#/machines/1/migrate',
    'app://godwit/#/runs/1',
    'https://godwit.example/#/runs',
  ])('is none that is opened again: %s', (address) => {
    expect(routeOfAddress(address)).toBeUndefined();
  });
});

describe('a deep link', () => {
  it('opens a run, wherever it stands on the command line', () => {
    expect(routeOfArguments([`godwit://run/${ID}`])).toBe(`/runs/${ID}`);
    expect(routeOfArguments(['--some-switch', `godwit://run/${ID.toUpperCase()}/`])).toBe(`/runs/${ID}`);
  });

  it.each([
    'godwit://run/',
    'godwit://run/1',
    `godwit://run/${ID}/cancel`,
    `godwit://run/${ID}?start=1`,
    `godwit://machine/${ID}`,
    `godwit://run/../${ID}`,
    `https://run/${ID}`,
    ` godwit://run/${ID}`,
    '',
  ])('does nothing else: %j', (link) => {
    expect(routeOfArguments([link])).toBeUndefined();
  });
});
