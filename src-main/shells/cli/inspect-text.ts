// SPDX-License-Identifier: Apache-2.0
/** A report of `godwit inspect` for people. Pure. All that comes from the stream is foreign text. */
import { plainText } from '../../../src-shared/plain-text.ts';
import { formatBytes } from '../../../src-shared/sizes.ts';
import type {
  ChannelReport,
  CommandReport,
  ConfigurationSubsection,
  DecodedBy,
  InspectReport,
  PayloadReport,
  RamReport,
  SectionReport,
  StreamElements,
} from '../../machine/inspect/report.ts';
import { fieldLines } from './inspect-fields.ts';
import { formatCount, paint } from './style.ts';
import { tableLines } from './text-table.ts';
import type { Column } from './text-table.ts';

/** A note may list a hundred sections. */
const MAX_NOTE = 8000;

const foreign = (text: string): string => plainText(text, 255);
const indent = (line: string): string => (line === '' ? '' : `  ${line}`);

/** Several lines, without a line feed at the end. */
export function inspectText(report: InspectReport, color: boolean): string {
  const chapters: readonly (readonly [string, readonly string[]])[] = [
    [foreign(report.file), overview(report)],
    ...(report.ram === undefined
      ? []
      : [[ramTitle(report.ram, report.channels !== undefined), ramLines(report.ram)] as const]),
    ...(report.channels === undefined ? [] : [['Channels', channelLines(report.channels)] as const]),
    ['Stream', streamLines(report)],
    ...resumedChapters(report.channels ?? []),
    ...deviceChapters(report.sections),
    ...(notesOf(report).length === 0 ? [] : [['Notes', notesOf(report)] as const]),
  ];
  return chapters
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [paint(title, 'bold', color), ...lines.map(indent)].join('\n'))
    .join('\n\n');
}

/** Those of the main channel, then those of the channels after a recovery. */
function notesOf({ notes, channels = [] }: InspectReport): string[] {
  const later = channels.flatMap((channel) => (channel.kind === 'resumed' ? channel.notes : []));
  return [...notes, ...later].map((note) => plainText(note, MAX_NOTE));
}

function overview(report: InspectReport): string[] {
  const { configuration, gzipBytes, image, version } = report;
  const size = `${formatBytes(report.bytes)} (${formatCount(report.bytes)} bytes)`;
  const rows: (readonly [string, string])[] = [
    ['size', gzipBytes === undefined ? size : `${size}, ${formatBytes(gzipBytes)} as gzip`],
    ...(version === undefined ? [] : [['format', `QEMU migration stream, version ${String(version)}`] as const]),
    ...(configuration === undefined ? [] : [['machine', foreign(configuration.machine)] as const]),
    ...(configuration?.subsections ?? []).map(subsectionRow),
    ['state', stateOf(report)],
  ];
  if (image !== undefined) {
    rows.push(['RAM image', `${foreign(image.path)}: block '${foreign(image.block)}', ${formatBytes(image.bytes)}`]);
    if (image.sha256 !== undefined) rows.push(['SHA-256', image.sha256]);
  }
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}`);
}

function subsectionRow(subsection: ConfigurationSubsection): readonly [string, string] {
  if (subsection.uuid !== undefined) return ['uuid', subsection.uuid];
  if (subsection.targetPageBits !== undefined) return ['page bits', String(subsection.targetPageBits)];
  return ['capabilities', (subsection.capabilities ?? []).map(foreign).join(', ')];
}

function stateOf({ error, endOffset, vmdescription, channels }: InspectReport): string {
  const goesOn = channels?.some((channel) => channel.kind === 'resumed' && channel.endOffset !== undefined) === true;
  if (endOffset === undefined && goesOn && error === undefined) return 'complete, after a recovery';
  if (endOffset === undefined) return `not complete${error === undefined ? '' : `: see byte ${String(error.offset)}`}`;
  const described =
    vmdescription === undefined
      ? 'without a description of the devices'
      : `with a description of ${String(vmdescription.devices)} devices`;
  return `${error === undefined ? 'complete' : `damaged behind its end, at byte ${String(error.offset)}`}, ${described}`;
}

// --- RAM

/** `given`: channels beside the main one were read, too. */
function ramTitle({ totalBytes, rounds, multifdFlushes }: RamReport, given: boolean): string {
  const passes = rounds === 0 ? 'no records' : `records of at least ${counted(rounds, 'pass', 'passes')}`;
  const multifd =
    multifdFlushes === 0
      ? ''
      : `, ${counted(multifdFlushes, 'multifd mark')}${given ? '' : ': pages are on other channels'}`;
  return `RAM: ${formatBytes(totalBytes)}, ${passes}${multifd}`;
}

function ramLines({ blocks }: RamReport): string[] {
  const withPageSize = blocks.some(({ pageSize }) => pageSize !== undefined);
  const withAddress = blocks.some(({ guestAddress }) => guestAddress !== undefined);
  const columns: Column[] = [
    { title: 'block', align: 'left' },
    { title: 'size', align: 'right' },
    ...(withPageSize ? [{ title: 'page size', align: 'right' } as const] : []),
    ...(withAddress ? [{ title: 'guest address', align: 'right' } as const] : []),
    ...['pages sent', 'normal', 'zero', 'xbzrle', 'compressed'].map((title) => ({ title, align: 'right' }) as const),
  ];
  const rows = blocks.map((block) => [
    foreign(block.name),
    formatBytes(block.usedBytes),
    ...(withPageSize ? [block.pageSize === undefined ? '' : formatBytes(block.pageSize)] : []),
    ...(withAddress ? [`0x${(block.guestAddress ?? 0).toString(16)}`] : []),
    ...[block.pages, block.normal, block.zero, block.xbzrle, block.compressed].map(formatCount),
  ]);
  return tableLines(columns, rows);
}

// --- channels beside the main one

function channelLines(channels: readonly ChannelReport[]): string[] {
  const columns: Column[] = [
    { title: 'channel', align: 'left' },
    { title: 'size', align: 'right' },
    ...['packets', 'syncs', 'normal', 'zero'].map((title) => ({ title, align: 'right' }) as const),
    { title: 'compression', align: 'left' },
    { title: 'file', align: 'left' },
  ];
  return tableLines(columns, channels.map(channelCells));
}

function channelCells(channel: ChannelReport): string[] {
  const [size, file] = [formatBytes(channel.bytes), foreign(channel.file)];
  switch (channel.kind) {
    case 'multifd': {
      const counts = [channel.packets, channel.syncs, channel.normal, channel.zero].map(formatCount);
      return [`multifd ${String(channel.id)}`, size, ...counts, channel.compression ?? '', file];
    }
    case 'preempt':
      return ['preempt', size, '', '', ...[channel.normal, channel.zero].map(formatCount), '', file];
    case 'resumed':
      return ['after a recovery', size, '', '', '', '', '', file];
  }
}

function resumedChapters(channels: readonly ChannelReport[]): (readonly [string, readonly string[]])[] {
  return channels.flatMap((channel) =>
    channel.kind === 'resumed' ? [[`Stream of ${foreign(channel.file)}`, streamLines(channel)] as const] : [],
  );
}

// --- the elements in order

function streamLines(report: StreamElements & Pick<InspectReport, 'version' | 'configuration'>): string[] {
  const { configuration, endOffset, vmdescription } = report;
  const elements = [
    ...(report.version === undefined ? [] : [row(0, 8, 'header', '')]),
    ...(configuration === undefined
      ? []
      : [row(configuration.offset, configuration.length, 'configuration', foreign(configuration.machine))]),
    ...report.commands.map(commandRow),
    ...report.sections.map(sectionRow),
    ...(endOffset === undefined ? [] : [row(endOffset, 1, 'end', '')]),
    ...(vmdescription === undefined
      ? []
      : [row(vmdescription.offset, vmdescription.length, 'description', counted(vmdescription.devices, 'device'))]),
  ].sort((a, b) => a.offset - b.offset);
  if (elements.length === 0) return [];
  const columns: Column[] = [
    { title: 'byte', align: 'right' },
    { title: 'length', align: 'right' },
    { title: 'element', align: 'left' },
    { title: 'id', align: 'right' },
    { title: '', align: 'left' },
  ];
  return tableLines(
    columns,
    elements.map(({ cells }) => cells),
  );
}

function row(
  offset: number,
  length: number,
  element: string,
  text: string,
  id = '',
): { offset: number; cells: string[] } {
  return { offset, cells: [String(offset), String(length), element, id, text] };
}

function commandRow(command: CommandReport): ReturnType<typeof row> {
  return row(command.offset, command.length, `${packaged(command)}command`, `${command.name}${commandText(command)}`);
}

function commandText({ details }: CommandReport): string {
  const { value, pageSizes, targetPageSize, block, ranges, packageBytes } = details;
  if (value !== undefined) return ` ${value < 0x10000 ? String(value) : `0x${value.toString(16)}`}`;
  if (pageSizes !== undefined) return ` page sizes 0x${pageSizes.toString(16)}, of the guest ${String(targetPageSize)}`;
  if (packageBytes !== undefined) return ` of ${formatCount(packageBytes)} bytes`;
  if (block === undefined) return '';
  if (ranges === undefined) return ` '${foreign(block)}'`;
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  return ` '${foreign(block)}': ${counted(ranges.length, 'range')}, ${formatBytes(bytes)}`;
}

function sectionRow(section: SectionReport): ReturnType<typeof row> {
  const times = section.count === 1 ? '' : ` ×${formatCount(section.count)}`;
  const name = `${foreign(section.idstr)}${section.instance === 0 ? '' : ` ${String(section.instance)}`}`;
  const introduced = section.type === 'start' || section.type === 'full';
  const text = introduced ? `${name}, version ${String(section.version)}` : name;
  return row(section.offset, section.length, `${packaged(section)}${section.type}${times}`, text, String(section.id));
}

/** What lies in a package stands out a little. */
const packaged = (element: { readonly packaged: boolean }): string => (element.packaged ? '· ' : '');

// --- devices

function deviceChapters(sections: readonly SectionReport[]): (readonly [string, readonly string[]])[] {
  return sections.flatMap((section) => {
    if (section.payload === undefined) return [];
    const { decodedBy, fieldsOmitted } = section.payload;
    const { fields, omitted } = fieldLines(section.payload.fields);
    const rest = [
      ...(omitted === 0 ? [] : [`${counted(omitted, 'zero field')} not shown`]),
      ...(fieldsOmitted === 0 ? [] : [`${counted(fieldsOmitted, 'more field')} not shown`]),
    ];
    const lines = decodedBy === 'footer' ? ['not decoded'] : [...fields, ...rest];
    return [[deviceTitle(section, section.payload), lines.length === 0 ? ['no fields'] : lines] as const];
  });
}

function deviceTitle(section: SectionReport, payload: PayloadReport): string {
  const name = `${foreign(section.idstr)}${section.instance === 0 ? '' : ` ${String(section.instance)}`}`;
  const place = `${counted(payload.length, 'byte')} from byte ${String(payload.offset)}`;
  return `${name}: version ${String(section.version)}, ${place}, ${HOW[payload.decodedBy]}`;
}

const HOW: Readonly<Record<DecodedBy, string>> = {
  description: "decoded by the stream's description",
  table: "decoded by Godwit's table",
  footer: 'its end found by its footer',
};

const counted = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;
