// SPDX-License-Identifier: Apache-2.0
/** The screens that Chromium sees. */
import type { Protocol, Session } from '../chromium/cdp.ts';
import { StrictEmitter } from '../strict.ts';
import { lifecycle } from './lifecycle.ts';

let displays: Electron.Display[] = [];

/** Before the app is ready. */
export async function readScreens(browser: Session): Promise<void> {
  const { screenInfos } = await browser.send('Emulation.getScreenInfos');
  displays = screenInfos.map(toDisplay);
}

class Screen extends StrictEmitter {
  protected static override readonly provided = ['display-added', 'display-removed', 'display-metrics-changed'];

  getAllDisplays(): Electron.Display[] {
    if (!lifecycle.isReady) throw new Error("The 'screen' module can't be used before the app 'ready' event");
    return displays;
  }

  getPrimaryDisplay(): Electron.Display {
    const [first] = this.getAllDisplays();
    if (first === undefined) throw new Error('Chromium sees no screen.');
    return first;
  }

  getDisplayMatching(wanted: Electron.Rectangle): Electron.Display {
    const overlap = ({ bounds }: Electron.Display): number => {
      const width = Math.min(bounds.x + bounds.width, wanted.x + wanted.width) - Math.max(bounds.x, wanted.x);
      const height = Math.min(bounds.y + bounds.height, wanted.y + wanted.height) - Math.max(bounds.y, wanted.y);
      return Math.max(0, width) * Math.max(0, height);
    };
    return this.getAllDisplays().toSorted((a, b) => overlap(b) - overlap(a))[0] ?? this.getPrimaryDisplay();
  }

  getDisplayNearestPoint(point: Electron.Point): Electron.Display {
    return this.getDisplayMatching({ ...point, width: 1, height: 1 });
  }
}

export const screen: Pick<
  Electron.Screen,
  'getAllDisplays' | 'getPrimaryDisplay' | 'getDisplayMatching' | 'getDisplayNearestPoint'
> &
  Screen = new Screen();

function toDisplay(info: Protocol.Emulation.ScreenInfo): Electron.Display {
  const bounds = { x: info.left, y: info.top, width: info.width, height: info.height };
  const workArea = { x: info.availLeft, y: info.availTop, width: info.availWidth, height: info.availHeight };
  const known: Partial<Electron.Display> = {
    id: Number(info.id),
    label: info.label,
    bounds,
    size: { width: bounds.width, height: bounds.height },
    workArea,
    workAreaSize: { width: workArea.width, height: workArea.height },
    scaleFactor: info.devicePixelRatio,
    rotation: 0,
    internal: info.isInternal,
    colorDepth: info.colorDepth,
  };
  return known as Electron.Display;
}
