// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { decide, type QuitEvent, type QuitState } from '../../../src-main/shells/electron/quit-states.ts';

const STATES: readonly QuitState[] = ['running', 'asking', 'background', 'ending', 'ended'];
const EVENTS: readonly QuitEvent[] = [
  ...(['close', 'quit', 'signal', 'confirmed', 'stay', 'go-on', 'reopen', 'idle', 'ended'] as const),
];

function after(events: readonly QuitEvent[]): { state: QuitState; effects: string[] } {
  let state: QuitState = 'running';
  const effects: string[] = [];
  for (const event of events) {
    const { next, effect } = decide(state, event);
    state = next;
    if (effect !== null) effects.push(effect);
  }
  return { state, effects };
}

describe('the end of the app', () => {
  it('lets Electron close nothing before everything is closed', () => {
    for (const state of STATES) {
      for (const event of EVENTS) expect(decide(state, event).proceed).toBe(state === 'ended');
    }
  });

  it('is asked back once, however often the user asks for it', () => {
    expect(after(['close', 'close', 'quit'])).toEqual({ state: 'asking', effects: ['ask'] });
  });

  it('is done once, however often it is confirmed or told', () => {
    expect(after(['quit', 'confirmed', 'confirmed', 'signal', 'quit'])).toEqual({
      state: 'ending',
      effects: ['ask', 'end'],
    });
  });

  it('asks nobody after a signal, not even in the middle of a question', () => {
    expect(after(['signal'])).toEqual({ state: 'ending', effects: ['end'] });
    expect(after(['close', 'signal', 'stay'])).toEqual({ state: 'ending', effects: ['ask', 'end'] });
  });

  it('can be put off, with or without a window, and asked for again', () => {
    expect(after(['close', 'stay', 'close'])).toEqual({ state: 'asking', effects: ['ask', 'ask'] });
    expect(after(['close', 'go-on', 'reopen', 'close'])).toEqual({ state: 'asking', effects: ['ask', 'hide', 'ask'] });
  });

  it('comes by itself without a window and with nothing left to do, and only then', () => {
    expect(after(['close', 'go-on', 'idle', 'ended'])).toEqual({ state: 'ended', effects: ['ask', 'hide', 'end'] });
    expect(after(['idle'])).toEqual({ state: 'running', effects: [] });
    expect(after(['close', 'idle'])).toEqual({ state: 'asking', effects: ['ask'] });
  });
});
