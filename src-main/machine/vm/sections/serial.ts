// SPDX-License-Identifier: Apache-2.0
import { buffer, int32, struct, timer, uint16, uint32, uint8 } from '../../engine/vmstate/fields.ts';
import { TIMER_NOT_ARMED } from '../../engine/vmstate/scalar.ts';
import { defineSubsection, defineTable } from '../../engine/vmstate/table.ts';
import type { TableState } from '../../engine/vmstate/table.ts';
import type { SerialState } from '../../native/index.ts';

const FIFO_BYTES = 16;

const fifoTable = defineTable({
  name: 'Fifo8',
  version: 1,
  fields: [buffer('data', FIFO_BYTES), uint32('head'), uint32('count', 'num')],
  check: (state) => {
    if (state.count > FIFO_BYTES) return `${state.count} bytes in a FIFO of ${FIFO_BYTES}`;
    if (state.head >= FIFO_BYTES) return `head ${state.head} in a FIFO of ${FIFO_BYTES}`;
    return undefined;
  },
});

const emptyFifo = () => ({ data: new Uint8Array(FIFO_BYTES), head: 0, count: 0 });

/** Value of `thrPending` that says: what the interrupt identification register says. */
const FOLLOWS_IIR = -1;
const NO_POLLING = -1;

const uartTable = defineTable({
  name: 'serial',
  version: 3,
  fields: [
    uint16('divider'),
    uint8('rbr'),
    uint8('ier'),
    uint8('iir'),
    uint8('lcr'),
    uint8('mcr'),
    uint8('lsr'),
    uint8('msr'),
    uint8('scr'),
    uint8('fcr', 'fcr_vmstate'),
  ],
  subsections: [
    defineSubsection({
      name: 'serial/thr_ipending',
      fields: [int32('thrPending', 'thr_ipending')],
      defaults: { thrPending: FOLLOWS_IIR },
      needed: (state) => state.thrPending !== FOLLOWS_IIR,
    }),
    defineSubsection({
      name: 'serial/tsr',
      fields: [uint32('tsrRetry', 'tsr_retry'), uint8('thr'), uint8('tsr')],
      defaults: { tsrRetry: 0, thr: 0, tsr: 0 },
      needed: (state) => state.tsrRetry !== 0,
    }),
    defineSubsection({
      name: 'serial/recv_fifo',
      fields: [struct('receiveFifo', fifoTable, 'recv_fifo')],
      defaults: { receiveFifo: emptyFifo() },
      needed: (state) => state.receiveFifo.count !== 0,
    }),
    defineSubsection({
      name: 'serial/xmit_fifo',
      fields: [struct('transmitFifo', fifoTable, 'xmit_fifo')],
      defaults: { transmitFifo: emptyFifo() },
      needed: (state) => state.transmitFifo.count !== 0,
    }),
    defineSubsection({
      name: 'serial/fifo_timeout_timer',
      fields: [timer('fifoTimeout', 'fifo_timeout_timer')],
      defaults: { fifoTimeout: TIMER_NOT_ARMED },
      needed: (state) => state.fifoTimeout !== TIMER_NOT_ARMED,
    }),
    defineSubsection({
      name: 'serial/timeout_ipending',
      fields: [int32('timeoutPending', 'timeout_ipending')],
      defaults: { timeoutPending: 0 },
      needed: (state) => state.timeoutPending !== 0,
    }),
    defineSubsection({
      name: 'serial/poll',
      fields: [int32('modemPolling', 'poll_msl'), timer('modemTimer', 'modem_status_poll')],
      defaults: { modemPolling: NO_POLLING, modemTimer: TIMER_NOT_ARMED },
      needed: (state) => state.modemPolling >= 0,
    }),
  ],
});

/** A 16550A on an ISA bus. */
export const serialTable = defineTable({
  name: 'serial',
  version: 3,
  fields: [struct('state', uartTable)],
});

export type SerialSection = TableState<typeof serialTable>;

/** The section of the machine's serial port, which sends at once: nothing waits in its FIFOs. */
export function serialToSection(port: SerialState): SerialSection {
  return {
    state: {
      ...port,
      thrPending: FOLLOWS_IIR,
      tsrRetry: 0,
      thr: 0,
      tsr: 0,
      receiveFifo: emptyFifo(),
      transmitFifo: emptyFifo(),
      fifoTimeout: TIMER_NOT_ARMED,
      timeoutPending: 0,
      modemPolling: NO_POLLING,
      modemTimer: TIMER_NOT_ARMED,
    },
  };
}

/** The serial port's registers, and in words what it has no room for. */
export function sectionToSerial(section: SerialSection): { readonly port: SerialState; readonly losses: string[] } {
  const { divider, rbr, ier, iir, lcr, mcr, lsr, msr, scr, fcr, receiveFifo, transmitFifo, tsrRetry } = section.state;
  const losses: string[] = [];
  if (receiveFifo.count > 0) losses.push(`${receiveFifo.count} received bytes that the guest has not read`);
  const unsent = transmitFifo.count + (tsrRetry > 0 ? 1 : 0);
  if (unsent > 0) losses.push(`${unsent} bytes that the serial port has not sent`);
  return { port: { divider, rbr, ier, iir, lcr, mcr, lsr, msr, scr, fcr }, losses };
}
