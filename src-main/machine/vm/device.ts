// SPDX-License-Identifier: Apache-2.0
import type { StreamDialect } from '../../../src-shared/migration/peer-release.ts';
import type { SavedSection } from '../engine/machine-interface.ts';
import type { ByteSource } from '../engine/vmstate/byte-source.ts';
import { describeSection } from '../engine/vmstate/describe.ts';
import { loadSection } from '../engine/vmstate/load.ts';
import { saveSection } from '../engine/vmstate/save.ts';
import type { Table } from '../engine/vmstate/table.ts';

/** One device as migration sees it. */
export interface Device {
  readonly idstr: string;
  readonly instanceId: number;
  /** Its section, from the state as it is; the guest is stopped. */
  save(dialect: StreamDialect): SavedSection;
  /** Reads its section and keeps the state; it takes effect when every section has arrived. */
  load(source: ByteSource, version: number): Promise<void>;
}

/** A device from its section's table and the two directions of its state. */
export function defineDevice<S extends object>(
  table: Table<S>,
  spec: {
    /** The section's name in the stream; the table's where absent. */
    readonly idstr?: string;
    readonly instanceId?: number;
    readonly save: () => S;
    readonly load: (state: S) => void;
  },
): Device {
  const idstr = spec.idstr ?? table.name;
  const instanceId = spec.instanceId ?? 0;
  return {
    idstr,
    instanceId,
    save: () => savedSection(table, idstr, instanceId, spec.save()),
    load: async (source, version) => {
      spec.load(await loadSection(table, source, version));
    },
  };
}

/** A device's state as the section of a table. */
export function savedSection<S extends object>(
  table: Table<S>,
  idstr: string,
  instanceId: number,
  state: S,
): SavedSection {
  return {
    idstr,
    instanceId,
    version: table.version,
    payload: saveSection(table, state),
    description: describeSection(table, idstr, instanceId, state),
  };
}
