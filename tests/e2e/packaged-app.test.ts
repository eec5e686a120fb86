// SPDX-License-Identifier: Apache-2.0
// needs: kvm
/** The app out of its package, from another folder than the checkout's: nothing that it needs may have stayed behind. */
import { readdirSync } from 'node:fs';
import { sep } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { createDetached, stopDetached } from '../support/e2e/detached-machine.ts';
import { VirtualScreen } from '../standin/virtual-screen.ts';
import { DesktopApp, isReal } from '../support/e2e/desktop-app.ts';
import { weaknesses } from '../support/e2e/security-settings.ts';
import { readSecuritySettings } from '../support/e2e/read-security-settings.ts';
import { packApp, type PackedApp } from '../support/packaging.ts';

// What Electron does with the archive itself cannot be seen without one; a real one is given the package by its user.
describe.skipIf(isReal)('the app out of its package', () => {
  let packed: PackedApp;
  let screen: VirtualScreen;
  let app: DesktopApp;
  let page: Page;
  beforeAll(async () => {
    packed = await packApp();
    screen = await VirtualScreen.start();
    app = await DesktopApp.start(screen, { app: packed.extracted, env: { GODWIT_STANDIN_PACKAGED: '1' } });
    page = await app.page();
  });
  afterAll(async () => {
    await app.dispose();
    await screen.dispose();
    packed.dispose();
  });

  const row = (name: string) => page.getByRole('row').filter({ hasText: name });

  it('moves a machine', async () => {
    await row('demo').getByText('Running', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Migrate…', exact: true }).click();
    await page.getByRole('button', { name: 'Pre-flight' }).click();
    await page.getByRole('button', { name: 'Start the move' }).click();
    await page.getByRole('heading', { name: 'demo has moved.', level: 1 }).waitFor();
  });

  it('has its machines in utility processes out of the package', async () => {
    const started = await app.electron.evaluate(() =>
      globalThis.__standin.utilityProcesses.map(({ serviceName, modulePath }) => ({ serviceName, modulePath })),
    );
    expect(started.length).toBeGreaterThanOrEqual(2);
    for (const { serviceName, modulePath } of started) {
      expect(serviceName).toBe('Godwit machine');
      expect(modulePath.startsWith(packed.extracted + sep)).toBe(true);
    }
  });

  it('tells Electron the same as in a checkout, and has no developer’s tools', async () => {
    expect(weaknesses(await readSecuritySettings(app.electron), true)).toEqual([]);
    const menu = await app.electron.evaluate(({ Menu }) =>
      (Menu.getApplicationMenu()?.items ?? []).flatMap(({ submenu }) => submenu?.items.map(({ role }) => role) ?? []),
    );
    expect(menu).not.toContain('toggledevtools');
    expect(menu).not.toContain('reload');
  });

  it('registers for its links, and writes nothing into its own folder', async () => {
    expect(await app.electron.evaluate(() => globalThis.__standin.protocolClients)).toEqual(['godwit']);
    expect(readdirSync(packed.extracted).sort()).toEqual([
      ...['assets', 'build', 'node_modules', 'out', 'package.json', 'src-main', 'src-shared'],
    ]);
  });

  it('runs machines that outlive it, and finds them again', async () => {
    await page.keyboard.press('Control+1');
    await createDetached(page);
    await app.end();
    await app.open();
    page = await app.page();
    await stopDetached(page);
  });
});
