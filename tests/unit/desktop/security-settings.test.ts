// SPDX-License-Identifier: Apache-2.0
/** That the test of the app's settings (tests/e2e/desktop-security.test.ts) fails on each weaker one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { weaknesses, type SecuritySettings } from '../../support/e2e/security-settings.ts';
import { webPreferences } from '../../../src-main/shells/electron/web-preferences.ts';

const preferences = { ...webPreferences('/preload.cjs', false) } as Readonly<Record<string, unknown>>;
const strong: SecuritySettings = {
  webPreferences: [preferences],
  sandboxed: true,
  schemes: [{ scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true } }],
  switches: [],
  granted: [],
  opened: [],
};
const withPreference = (name: string, value: unknown): SecuritySettings => ({
  ...strong,
  webPreferences: [preferences, { ...preferences, [name]: value }],
});

describe('the security settings', () => {
  it('of the app are none that is weak', () => {
    expect(weaknesses(strong, true)).toEqual([]);
  });

  const names = Object.keys(preferences).filter((name) => name !== 'preload');
  it.each(names)('are found weak by %s alone, in whichever window', (name) => {
    expect(weaknesses(withPreference(name, preferences[name] !== true), true)).toEqual([name]);
    // Electron's own default is not relied on.
    expect(weaknesses(withPreference(name, undefined), true)).toEqual([name]);
  });

  it.each(['enableBlinkFeatures', 'additionalArguments', 'webgl', 'v8CacheOptions', 'partition'])(
    'are found to have %s, which nobody has looked at',
    (name) => {
      expect(weaknesses(withPreference(name, true), true)).toEqual([name]);
    },
  );

  it.each([
    [{ sandboxed: false }, 'app.enableSandbox was not called'],
    [{ webPreferences: [] }, 'no window was made'],
    [{ schemes: [{ scheme: 'app', privileges: { bypassCSP: true } }] }, 'scheme app: bypassCSP'],
    [{ schemes: [{ scheme: 'app', privileges: { corsEnabled: true } }] }, 'scheme app: corsEnabled'],
    [{ schemes: [{ scheme: 'app', privileges: { allowServiceWorkers: true } }] }, 'scheme app: allowServiceWorkers'],
    [{ schemes: [{ scheme: 'file' }] }, 'scheme file'],
    [{ switches: [{ name: 'no-sandbox' }] }, 'switch no-sandbox'],
    [{ switches: [{ name: 'disable-web-security' }] }, 'switch disable-web-security'],
    [{ granted: ['media'] }, 'permission media'],
    [{ opened: ['https://godwit.example/'] }, 'window https://godwit.example/'],
  ])('are found weak by %j', (change: Partial<SecuritySettings>, weakness) => {
    expect(weaknesses({ ...strong, ...change }, true)).toEqual([weakness]);
  });

  it('are changed by no switch of ours', () => {
    const folder = join(import.meta.dirname, '..', '..', '..', 'src-main', 'shells', 'electron');
    const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((name) => readFileSync(join(folder, name), 'utf8').includes('commandLine.'))).toEqual([]);
  });
});
