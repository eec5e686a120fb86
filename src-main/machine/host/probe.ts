// SPDX-License-Identifier: Apache-2.0
import { native } from '../native/index.ts';

/** What this process can do: the addon's report plus the versions of Node and Node-API. JSON-safe: bigint as text. */
export function probeReport(): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(
      { ...native.probe(), node: process.versions.node, napi: process.versions.napi },
      (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
    ),
  ) as Record<string, unknown>;
}
