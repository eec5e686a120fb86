// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { isOurPage, type SenderFrame } from '../../../src-main/shells/electron/sender-guard.ts';

interface Contents {
  mainFrame: SenderFrame;
}

const frame: SenderFrame = { url: 'app://godwit/#/machines', parent: null };
const ours: Contents = { mainFrame: frame };
const isWindow = (contents: Contents): boolean => contents === ours;

describe('a message over the channels of the page', () => {
  it('is taken from the top frame of our window with our document', () => {
    expect(isOurPage({ sender: ours, senderFrame: frame }, isWindow)).toBe(true);
  });

  it.each([
    ['a frame that is gone', () => ({ sender: ours, senderFrame: null })],
    ['another window', () => ({ sender: { mainFrame: frame }, senderFrame: frame })],
    ['a frame beside the top one', () => ({ sender: ours, senderFrame: { ...frame } })],
    [
      'a frame within the page',
      () => {
        const inner = { ...frame, parent: frame };
        return { sender: ours, senderFrame: inner };
      },
    ],
  ])('is refused from %s', (_who, event) => {
    expect(isOurPage(event(), isWindow)).toBe(false);
  });

  it.each(['https://godwit.example/', 'app://other/', 'about:blank', 'file:///app://godwit/'])(
    'is refused from a document at %s',
    (url) => {
      const elsewhere = { url, parent: null };
      const contents = { mainFrame: elsewhere };
      expect(isOurPage({ sender: contents, senderFrame: elsewhere }, () => true)).toBe(false);
    },
  );

  it('is refused from an inner frame even where it claims to be the top one', () => {
    const inner = { url: frame.url, parent: frame };
    expect(isOurPage({ sender: { mainFrame: inner }, senderFrame: inner }, () => true)).toBe(false);
  });
});
