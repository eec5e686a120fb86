// SPDX-License-Identifier: Apache-2.0
import { insertInto, notFound, parseJson } from './statements.ts';
import type { Row, Statements } from './statements.ts';
import type { Store } from './store.ts';
import { machineRow } from './types.ts';
import type { MachineRow } from './types.ts';
import type { Sync } from './protocol.ts';

type MachineOperations = Sync<Pick<Store, 'listMachines' | 'insertMachine' | 'updateMachine' | 'removeMachine'>>;

const COLUMNS = [
  'id',
  'kind',
  'settings',
  'receiver',
  'process',
  'last_words',
  'created_at',
  'deleted_at',
  'saved_to',
] as const;

export function machineOperations(statements: Statements): MachineOperations {
  const write = (machine: MachineRow, verb?: string): void => {
    const valid = machineRow.parse(machine);
    statements.run(
      insertInto('machines', COLUMNS, verb),
      valid.id,
      valid.kind,
      JSON.stringify(valid.settings),
      valid.receiver ? 1 : 0,
      valid.process && JSON.stringify(valid.process),
      valid.lastWords,
      valid.createdAt,
      valid.deletedAt,
      valid.savedTo,
    );
  };
  return {
    listMachines: ({ deleted = false } = {}) =>
      statements
        .all(`SELECT * FROM machines WHERE ? OR deleted_at IS NULL ORDER BY created_at, id`, deleted ? 1 : 0)
        .map(machineOf),
    insertMachine: (machine) => {
      write(machine);
    },
    updateMachine: (id, change) => {
      statements.write(() => {
        const row = statements.get('SELECT * FROM machines WHERE id = ?', id);
        if (row === undefined) throw notFound('machine', id);
        const { kind, createdAt, ...before } = machineOf(row);
        write({ ...before, ...change, id, kind, createdAt }, 'REPLACE');
      });
    },
    removeMachine: (id) => {
      if (statements.run('DELETE FROM machines WHERE id = ?', id) === 0) throw notFound('machine', id);
    },
  };
}

function machineOf(row: Row): MachineRow {
  return machineRow.parse({
    id: row['id'],
    kind: row['kind'],
    settings: parseJson(row['settings']),
    receiver: row['receiver'] === 1,
    process: parseJson(row['process']),
    lastWords: row['last_words'],
    createdAt: row['created_at'],
    deletedAt: row['deleted_at'],
    savedTo: row['saved_to'],
  });
}
