// SPDX-License-Identifier: Apache-2.0
/** What the package says of itself in several places is the same in all of them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getConfig, validateConfiguration } from 'app-builder-lib/out/util/config/config.js';
import { DebugLogger } from 'builder-util';
import { parseXml } from 'builder-util-runtime';
import { beforeAll, describe, expect, it } from 'vitest';
import { iconSizes } from '../../../scripts/packaging/icons.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<'version' | 'homepage' | 'productName' | 'license', string>;

type Configuration = Awaited<ReturnType<typeof getConfig>>;
let configuration: Configuration;
beforeAll(async () => {
  configuration = await getConfig(root, 'electron-builder.yml', null);
});

const check = (value: unknown): Promise<void> => validateConfiguration(value as Configuration, new DebugLogger(false));

describe('electron-builder.yml', () => {
  it('is what electron-builder takes', async () => {
    await expect(check(configuration)).resolves.toBeUndefined();
  });

  it('would not pass with a key that electron-builder does not know', async () => {
    await expect(check({ ...configuration, electronFuses: { runAsNodes: true } })).rejects.toThrow(/electronFuses/);
    await expect(check({ ...configuration, lunix: {} })).rejects.toThrow(/lunix/);
  });

  it('decides every fuse that electron-builder knows', () => {
    const known = /"FuseOptionsV1": \{[^]*?"properties": \{([^]*?)\n {6}\}/.exec(
      read('node_modules/app-builder-lib/scheme.json'),
    );
    const names = [...(known?.[1] ?? '').matchAll(/^ {8}"(\w+)"/gm)].map(([, name]) => name);
    expect(names).toContain('runAsNode');
    const ofLinux = names.filter((name) => name !== 'resetAdHocDarwinSignature');
    expect(Object.keys(configuration.electronFuses ?? {}).sort()).toEqual(ofLinux.sort());
  });

  it('names files that are there or that npm run dist makes', () => {
    const sources = (configuration.deb?.fpm ?? []).map((mapping) => mapping.split('=')[0] ?? '');
    expect(sources.length).toBeGreaterThan(3);
    const made = read('scripts/packaging/linux-files.ts');
    for (const source of sources)
      expect(made).toContain(source.replace('out/linux/', '').replace('io.godwit.Godwit.', ''));
    expect(existsSync(join(root, String(configuration.linux?.icon)))).toBe(true);
  });

  it('asks nobody for updates', () => {
    expect(configuration.publish).toBeNull();
  });

  it('has an icon of every size', () => {
    const missing = iconSizes.filter((size) => !existsSync(join(root, 'assets/icons', `${size}x${size}.png`)));
    expect(missing).toEqual([]);
  });
});

describe('the AppStream metadata', () => {
  // Throws where it is not well-formed.
  const component = parseXml(read('assets/linux/io.godwit.Godwit.metainfo.xml'));
  const all = (name: string) => component.getElements(name);
  const text = (name: string): string => component.element(name).value.trim();

  it('has the id of the app and of its menu entry', () => {
    expect(text('id')).toBe(configuration.appId);
    const desktopName = (configuration.extraMetadata as { desktopName: string }).desktopName;
    expect(component.element('launchable').attribute('type')).toBe('desktop-id');
    expect(text('launchable')).toBe(desktopName);
    expect(desktopName).toBe(`${String(configuration.appId)}.desktop`);
    expect(text('icon')).toBe(configuration.linux?.executableName);
  });

  it('has the version, the name and the address of package.json', () => {
    const latest = component.element('releases').element('release');
    expect(latest.attribute('version')).toBe(manifest.version);
    expect(latest.attribute('date')).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(text('name')).toBe(manifest.productName);
    expect(text('project_license')).toBe(manifest.license);
    const home = all('url').find((url) => url.attribute('type') === 'homepage');
    expect(home?.value).toBe(manifest.homepage);
  });

  it('has what a software catalogue asks for', () => {
    expect(component.attribute('type')).toBe('desktop-application');
    expect(text('summary')).toBe(configuration.linux?.synopsis);
    expect(component.element('description').getElements('p')).not.toEqual([]);
    expect(component.element('content_rating').attribute('type')).toBe('oars-1.1');
    const provides = component.element('provides');
    const programs = provides.getElements('binary').map(({ value }) => value);
    expect(programs).toEqual(['godwit', configuration.linux?.executableName]);
    expect(provides.element('mediatype').value).toBe('x-scheme-handler/godwit');
  });
});
