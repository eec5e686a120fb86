// SPDX-License-Identifier: Apache-2.0
/** The theme that the app chooses, which its pages see as prefers-color-scheme. The system's is light. */
import type { Session } from '../chromium/cdp.ts';
import { StrictEmitter } from '../strict.ts';
import type { Conforms } from '../conforms.ts';

type Source = Electron.NativeTheme['themeSource'];

class NativeTheme extends StrictEmitter {
  protected static override readonly provided = ['updated'];
  #source: Source = 'system';
  readonly #pages = new Set<Session>();

  get themeSource(): Source {
    return this.#source;
  }

  set themeSource(source: Source) {
    const wasDark = this.shouldUseDarkColors;
    this.#source = source;
    for (const page of this.#pages) this.#apply(page);
    if (this.shouldUseDarkColors !== wasDark) this.emit('updated');
  }

  get shouldUseDarkColors(): boolean {
    return this.#source === 'dark';
  }

  readonly shouldUseHighContrastColors: boolean = false;

  follow(page: Session): void {
    this.#pages.add(page);
    if (this.#source !== 'system') this.#apply(page);
  }

  #apply(page: Session): void {
    const features = this.#source === 'system' ? [] : [{ name: 'prefers-color-scheme', value: this.#source }];
    page.post('Emulation.setEmulatedMedia', { features });
  }
}

export const nativeTheme = new NativeTheme();
export type CheckedNativeTheme = Conforms<
  Pick<Electron.NativeTheme, 'themeSource' | 'shouldUseDarkColors' | 'shouldUseHighContrastColors'>,
  NativeTheme
>;

/** From now on the page sees the app's theme. */
export const followMedia = (page: Session): void => nativeTheme.follow(page);
