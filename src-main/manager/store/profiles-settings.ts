// SPDX-License-Identifier: Apache-2.0
import { DEFAULT_SETTINGS, settings as settingsSchema } from '../../../src-shared/contract.ts';
import type { Settings } from '../../../src-shared/contract.ts';
import type { Sync } from './protocol.ts';
import { insertInto, notFound, parseJson } from './statements.ts';
import type { Statements } from './statements.ts';
import type { Store } from './store.ts';
import { savedProfile } from './types.ts';

type Operations = Sync<Pick<Store, 'listProfiles' | 'putProfile' | 'deleteProfile' | 'getSettings' | 'setSettings'>>;

export function profileAndSettingsOperations(statements: Statements): Operations {
  const getSettings = (): Settings => {
    const kept = statements.all('SELECT name, value FROM settings').map(({ name, value }) => [name, String(value)]);
    return withDefaults(Object.fromEntries(kept) as Record<string, string>);
  };
  return {
    listProfiles: () =>
      statements
        .all('SELECT id, profile FROM profiles ORDER BY name COLLATE NOCASE, id')
        .map(({ id, profile }) => savedProfile.parse({ id, profile: parseJson(profile) })),
    putProfile: (saved) => {
      const { id, profile } = savedProfile.parse(saved);
      // On conflict of the id only: REPLACE would also remove another profile of that name.
      const insert = insertInto('profiles', ['id', 'name', 'profile']);
      const update = 'ON CONFLICT (id) DO UPDATE SET name = excluded.name, profile = excluded.profile';
      statements.run(`${insert} ${update}`, id, profile.name, JSON.stringify(profile));
    },
    deleteProfile: (id) => {
      if (statements.run('DELETE FROM profiles WHERE id = ?', id) === 0) throw notFound('profile', id);
    },
    getSettings,
    setSettings: (change) => {
      const valid = settingsSchema.partial().parse(change);
      return statements.write(() => {
        for (const [name, value] of Object.entries(valid)) {
          statements.run(insertInto('settings', ['name', 'value'], 'REPLACE'), name, JSON.stringify(value));
        }
        return getSettings();
      });
    },
  };
}

/** A value that another version wrote and this one does not understand counts as not set, and stays in the file. */
function withDefaults(kept: Readonly<Record<string, string>>): Settings {
  const entries = Object.entries(settingsSchema.shape).map(([name, schema]) => {
    const fallback = DEFAULT_SETTINGS[name as keyof Settings];
    const text = kept[name];
    if (text === undefined) return [name, fallback];
    const parsed = schema.safeParse(JSON.parse(text));
    return [name, parsed.success ? parsed.data : fallback];
  });
  return settingsSchema.parse(Object.fromEntries(entries));
}
