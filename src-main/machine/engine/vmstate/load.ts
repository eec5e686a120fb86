// SPDX-License-Identifier: Apache-2.0
import { applyDefaults } from './blank-state.ts';
import { bufferSource, isEndOfSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { Decoder } from './decoder.ts';
import { fixedFieldSize, SUBSECTION_PREFIX_BYTES, SUBSECTION_VERSION_BYTES } from './layout.ts';
import type { Values } from './layout.ts';
import { nameAfterSection, nameAfterStruct } from './subsection-name.ts';
import type { Field, SubsectionShape, Table, TableShape } from './table.ts';
import { VmstateError } from './vmstate-error.ts';

/**
 * Reads a section's fields and subsections. The source must go on after the section (a footer, the next element or the
 * end mark): whether a subsection follows is seen by looking at the next bytes.
 *
 * Throws a {@link VmstateError}; errors of the source other than `EOF` pass through as they are.
 */
export async function loadSection<S extends object>(table: Table<S>, source: ByteSource, version: number): Promise<S> {
  const values: Values = {};
  await new Loader(table.name, source).section(table, version, values);
  return values as S;
}

/** Loads a section from exactly its payload; bytes left over are refused. */
export async function loadSectionFromBytes<S extends object>(
  table: Table<S>,
  payload: Uint8Array,
  version: number,
): Promise<S> {
  const end = Uint8Array.of(0);
  const source = bufferSource(Buffer.concat([payload, end]));
  const state = await loadSection(table, source, version);
  const left = source.left - end.length;
  if (left !== 0) {
    const place = `after ${payload.length - left} of ${payload.length} bytes`;
    throw new VmstateError('TRAILING', table.name, '', `section ${table.name}: ${left} bytes too many ${place}`);
  }
  return state;
}

class Loader {
  readonly #section: string;
  readonly #source: ByteSource;

  constructor(section: string, source: ByteSource) {
    this.#section = section;
    this.#source = source;
  }

  async section(table: TableShape, version: number, values: Values): Promise<void> {
    this.#checkVersion(table, version);
    await this.#fields(table, values, '');
    await this.#subsections(table, values, true);
    this.#check(table, values);
  }

  /** A struct or a subsection. One that knows no subsections leaves those that follow to its parent. */
  async #table(table: TableShape, version: number, values: Values, path: string): Promise<void> {
    this.#checkVersion(table, version);
    await this.#fields(table, values, path);
    if (table.subsections.length > 0) await this.#subsections(table, values, false);
    this.#check(table, values);
  }

  #checkVersion(table: TableShape, version: number): void {
    if (version >= table.minimumVersion && version <= table.version) return;
    const known =
      table.minimumVersion === table.version
        ? `version ${table.version}`
        : `versions ${table.minimumVersion} to ${table.version}`;
    const message = `${this.#title(table)} has version ${version}; this machine reads ${known}`;
    throw new VmstateError('VERSION', this.#section, this.#fieldName(table), message);
  }

  /** Runs of fields of fixed size are read at once: on a channel every read is a round trip to another thread. */
  async #fields(table: TableShape, values: Values, path: string): Promise<void> {
    let run: Field[] = [];
    for (const field of table.fields) {
      if (fixedFieldSize(field) !== undefined) {
        run.push(field);
        continue;
      }
      await this.#run(run, values, path);
      run = [];
      await this.#varying(field, values, path);
    }
    await this.#run(run, values, path);
  }

  async #run(fields: readonly Field[], values: Values, path: string): Promise<void> {
    const size = fields.reduce((sum, field) => sum + (fixedFieldSize(field) ?? 0), 0);
    if (size === 0) return;
    const first = fields[0]?.name ?? '';
    const last = fields.at(-1)?.name ?? '';
    const place = first === last ? path + first : `${path + first} to ${path + last}`;
    const bytes = await this.#demand(this.#source.read(size), place);
    new Decoder(bytes, (table, inner) => this.#check(table, inner)).fields(fields, values);
  }

  async #varying(field: Field, values: Values, path: string): Promise<void> {
    const place = path + field.name;
    switch (field.kind) {
      case 'struct':
        values[field.key] = await this.#struct(field.table, `${place}.`);
        return;
      case 'inline':
        return this.#table(field.table, field.table.version, values, `${place}.`);
      case 'array': {
        const items: Values[] = [];
        for (let index = 0; index < field.length; index++) {
          items.push(await this.#struct(field.element as TableShape, `${place}[${index}].`));
        }
        values[field.key] = items;
        return;
      }
      case 'scalar':
      case 'buffer':
      case 'unused':
        throw new Error(`field ${place} is of fixed size`);
    }
  }

  async #struct(table: TableShape, path: string): Promise<Values> {
    const values: Values = {};
    await this.#table(table, table.version, values, path);
    return values;
  }

  async #subsections(table: TableShape, values: Values, outermost: boolean): Promise<void> {
    applyDefaults(table, values);
    const seen = new Set<SubsectionShape>();
    for (;;) {
      const looking = outermost ? nameAfterSection(this.#source) : nameAfterStruct(this.#source, table.name);
      const name = await this.#demand(looking, `the end of ${table.name}`);
      if (name?.startsWith(`${table.name}/`) !== true) return;
      const subsection = table.subsections.find((candidate) => candidate.table.name === name);
      if (subsection === undefined) {
        const message = `section ${this.#section}: subsection ${name} is not known to this machine`;
        throw new VmstateError('SUBSECTION', this.#section, name, message);
      }
      if (seen.has(subsection)) {
        const message = `section ${this.#section}: subsection ${name} comes twice`;
        throw new VmstateError('SUBSECTION', this.#section, name, message);
      }
      seen.add(subsection);
      await this.#subsection(subsection.table, values);
    }
  }

  async #subsection(table: TableShape, values: Values): Promise<void> {
    const headSize = SUBSECTION_PREFIX_BYTES + table.name.length + SUBSECTION_VERSION_BYTES;
    const head = await this.#demand(this.#source.read(headSize), table.name);
    const version = new DataView(head.buffer, head.byteOffset + headSize - SUBSECTION_VERSION_BYTES).getUint32(0);
    await this.#table(table, version, values, `${table.name}: `);
  }

  #check(table: TableShape, values: Values): void {
    const problem = table.check?.(values as never);
    if (problem === undefined) return;
    throw new VmstateError('INVALID', this.#section, this.#fieldName(table), `${this.#title(table)}: ${problem}`);
  }

  async #demand<T>(found: Promise<T>, place: string): Promise<T> {
    try {
      return await found;
    } catch (error) {
      if (!isEndOfSource(error)) throw error;
      const message = `section ${this.#section}: the stream ends at ${place}`;
      throw new VmstateError('TRUNCATED', this.#section, place, message, { cause: error });
    }
  }

  #title(table: TableShape): string {
    return table.name === this.#section ? `section ${table.name}` : `section ${this.#section}: ${table.name}`;
  }

  #fieldName(table: TableShape): string {
    return table.name === this.#section ? '' : table.name;
  }
}
