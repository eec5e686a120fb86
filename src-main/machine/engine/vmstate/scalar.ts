// SPDX-License-Identifier: Apache-2.0
/** Scalars of device state, by the names that the stream's own description uses. All are big-endian. */
export type ScalarType = 'bool' | 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'int32' | 'int64' | 'timer';

/** A timer is the nanosecond it expires at, or {@link TIMER_NOT_ARMED}. */
export const TIMER_NOT_ARMED = -1n;

interface ScalarCodec {
  readonly size: number;
  read(view: DataView, offset: number): number | bigint | boolean;
  write(view: DataView, offset: number, value: unknown): void;
  accepts(value: unknown): boolean;
}

const isInteger = (low: number, high: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= low && (value as number) <= high;

const isBigInt = (low: bigint, high: bigint) => (value: unknown) =>
  typeof value === 'bigint' && value >= low && value <= high;

const INT64: ScalarCodec = {
  size: 8,
  read: (view, offset) => view.getBigInt64(offset),
  write: (view, offset, value) => view.setBigInt64(offset, value as bigint),
  accepts: isBigInt(-(2n ** 63n), 2n ** 63n - 1n),
};

export const SCALARS: Readonly<Record<ScalarType, ScalarCodec>> = {
  bool: {
    size: 1,
    read: (view, offset) => view.getUint8(offset) !== 0,
    write: (view, offset, value) => view.setUint8(offset, value === true ? 1 : 0),
    accepts: (value) => typeof value === 'boolean',
  },
  uint8: {
    size: 1,
    read: (view, offset) => view.getUint8(offset),
    write: (view, offset, value) => view.setUint8(offset, value as number),
    accepts: isInteger(0, 0xff),
  },
  uint16: {
    size: 2,
    read: (view, offset) => view.getUint16(offset),
    write: (view, offset, value) => view.setUint16(offset, value as number),
    accepts: isInteger(0, 0xffff),
  },
  uint32: {
    size: 4,
    read: (view, offset) => view.getUint32(offset),
    write: (view, offset, value) => view.setUint32(offset, value as number),
    accepts: isInteger(0, 0xffffffff),
  },
  uint64: {
    size: 8,
    read: (view, offset) => view.getBigUint64(offset),
    write: (view, offset, value) => view.setBigUint64(offset, value as bigint),
    accepts: isBigInt(0n, 2n ** 64n - 1n),
  },
  int32: {
    size: 4,
    read: (view, offset) => view.getInt32(offset),
    write: (view, offset, value) => view.setInt32(offset, value as number),
    accepts: isInteger(-0x80000000, 0x7fffffff),
  },
  int64: INT64,
  timer: INT64,
};
