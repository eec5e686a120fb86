// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsOn, readWindowState, writeWindowState } from '../../../src-main/shells/electron/window-state.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'godwit-window-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const state = { bounds: { x: 10, y: 20, width: 1300, height: 900 }, maximized: true };

describe('the place of the window', () => {
  it('is kept in a private file', () => {
    const path = join(folder, 'config', 'window.json');
    writeWindowState(path, state);
    expect(readWindowState(path)).toEqual(state);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it.each(['', 'null', '{"bounds":{"x":1}}', '{"bounds":{"x":1e300,"y":0,"width":1,"height":1},"maximized":false}'])(
    'is not known where its file says %j',
    (text) => {
      const path = join(folder, 'window.json');
      writeFileSync(path, text);
      expect(readWindowState(path)).toBeNull();
    },
  );

  it('costs no start and no end where its folder cannot be written', () => {
    const path = join(folder, 'file', 'window.json');
    writeFileSync(join(folder, 'file'), 'in the way');
    expect(() => writeWindowState(path, state)).not.toThrow();
    expect(readWindowState(path)).toBeNull();
  });

  const screens = [
    { x: 0, y: 0, width: 1920, height: 1080 },
    { x: 1920, y: 0, width: 1280, height: 1024 },
  ];
  it.each([
    ['on the first screen', { x: 100, y: 100, width: 1280, height: 800 }, true],
    ['on the second one', { x: 2000, y: 50, width: 1100, height: 800 }, true],
    ['partly beyond an edge', { x: -900, y: 0, width: 1280, height: 800 }, true],
    ['wholly beyond an edge', { x: -1280, y: 0, width: 1280, height: 800 }, false],
    ['on a screen that is gone', { x: 4000, y: 0, width: 1280, height: 800 }, false],
    ['with its title above the screen', { x: 0, y: -30, width: 1280, height: 800 }, false],
    ['with its title below the screen', { x: 0, y: 1070, width: 1280, height: 800 }, false],
  ])('is taken again %s: it has to be in sight', (_where, bounds, visible) => {
    expect(boundsOn(screens, { bounds, maximized: false })).toEqual(visible ? bounds : null);
  });

  it('is never smaller than the screens can be laid out', () => {
    const bounds = { x: 0, y: 0, width: 200, height: 100 };
    expect(boundsOn(screens, { bounds, maximized: false })).toEqual({ x: 0, y: 0, width: 1024, height: 700 });
  });
});
