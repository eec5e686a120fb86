// SPDX-License-Identifier: Apache-2.0
/** The three charts of a run on one time axis, with one cursor. Canvas; what it shows is said in words beside it. */
import 'uplot/dist/uPlot.min.css';
import uPlot from 'uplot';
import type { WatchedRun } from '../stores/runs.ts';
import { bytesText, clockText, durationText, rateText, type Units } from './format.ts';
import type { Column, SampleSeries } from './sample-series.ts';

export type CursorValues = { readonly t: number } & Readonly<Record<Column, number | null>>;

export interface ChartSet {
  draw(run: WatchedRun): void;
  resize(): void;
  setCursor(index: number): void;
  destroy(): void;
}

export interface ChartOptions {
  readonly log: boolean;
  readonly units: Units;
  /** Null: the pointer left. */
  readonly onCursor: (index: number | null) => void;
}

interface Line {
  readonly column: Column;
  readonly color: string;
  readonly dash?: number[];
  /** What QEMU renews at each sync is drawn as steps. */
  readonly stepped?: boolean;
}

interface Chart {
  readonly lines: readonly Line[];
  readonly format: (value: number, units: Units) => string;
  /** Bytes have round numbers of their own. */
  readonly bytes: boolean;
  readonly log: boolean;
}

const CHARTS: readonly Chart[] = [
  {
    lines: [
      { column: 'throughput', color: '--s-throughput', stepped: true },
      { column: 'dirtyRate', color: '--s-dirty', dash: [5, 3], stepped: true },
    ],
    format: rateText,
    bytes: true,
    log: false,
  },
  {
    lines: [
      { column: 'remaining', color: '--s-remaining' },
      { column: 'threshold', color: '--s-threshold', dash: [2, 3], stepped: true },
    ],
    format: bytesText,
    bytes: true,
    log: true,
  },
  {
    lines: [
      { column: 'expectedDowntime', color: '--s-downtime', stepped: true },
      { column: 'downtimeLimit', color: '--s-threshold', dash: [2, 3], stepped: true },
    ],
    format: (value) => durationText(value),
    bytes: false,
    log: true,
  },
];

/** 1, 2, 4 … 512 of each binary unit. */
const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** Of exponents. */
const WHOLE_STEPS = [1, 2, 3, 5, 10];

const AXIS_WIDTH = 72;
const LINE_WIDTH = 1.75;

/** The values of a sample; of the newest one for null. */
export function valueAt(series: SampleSeries, index: number | null): CursorValues | null {
  const at = Math.min(index ?? series.length - 1, series.length - 1);
  const t = series.times()[at];
  if (at < 0 || t === undefined) return null;
  const value = (column: Column): number | null => known(series.column(column)[at]);
  return {
    t,
    throughput: value('throughput'),
    dirtyRate: value('dirtyRate'),
    remaining: value('remaining'),
    threshold: value('threshold'),
    expectedDowntime: value('expectedDowntime'),
    downtimeLimit: value('downtimeLimit'),
  };
}

const known = (value: number | undefined): number | null => (value === undefined || Number.isNaN(value) ? null : value);

export function chartSet(places: readonly HTMLElement[], options: ChartOptions): ChartSet {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const sync = uPlot.sync('run');
  const isLog = (chart: Chart): boolean => options.log && chart.log;
  /** So that ticks are at round numbers of the unit. */
  const baseOf = (chart: Chart): number => (chart.bytes && options.units === 'binary' ? 2 : 10);
  let bands: readonly number[] = [];
  let changes: readonly number[] = [];
  const plots = CHARTS.map((chart, index) => {
    const place = places[index];
    if (place === undefined) throw new Error('a chart has no place');
    const last = index === CHARTS.length - 1;
    const plot = new uPlot(plotOptions(chart, last, place), emptyData(chart), place);
    plot.root.setAttribute('aria-hidden', 'true');
    return plot;
  });

  function plotOptions(chart: Chart, last: boolean, place: HTMLElement): uPlot.Options {
    const grid = { stroke: color('--grid'), width: 1 };
    const font = `11px ${style.getPropertyValue('--font')}`;
    return {
      width: Math.max(50, place.clientWidth),
      height: Math.max(40, place.clientHeight),
      legend: { show: false },
      padding: [6, 8, last ? 0 : 2, 0],
      cursor: {
        sync: { key: sync.key, setSeries: false },
        drag: { x: false, y: false },
        points: { show: false },
        y: false,
      },
      scales: {
        x: { time: false, range: (_plot, min, max) => [Math.min(0, min), Math.max(max, 1)] },
        y: {
          range: (_plot, min, max) => {
            if (!isLog(chart)) return [0, max > 0 ? max * 1.1 : 1];
            return Number.isFinite(min) && Number.isFinite(max) ? [Math.floor(min), Math.floor(max) + 1] : [0, 1];
          },
        },
      },
      axes: [
        {
          show: true,
          stroke: color('--text-3'),
          font,
          grid: { show: false },
          ticks: { show: last, stroke: color('--axis'), width: 1, size: 4 },
          values: (_plot, splits) => splits.map((t) => (last ? clockText(t * 1000) : '')),
          size: last ? 24 : 4,
          border: { show: true, stroke: color('--axis'), width: 1 },
        },
        {
          stroke: color('--text-3'),
          font,
          grid,
          ticks: { show: false },
          size: AXIS_WIDTH,
          space: 26,
          ...(isLog(chart) && { incrs: WHOLE_STEPS }),
          ...(chart.bytes && options.units === 'binary' && !isLog(chart) && { incrs: BINARY_STEPS }),
          values: (_plot, splits) =>
            splits.map((value) => chart.format(isLog(chart) ? baseOf(chart) ** value : value, options.units)),
        },
      ],
      series: [
        {},
        ...chart.lines.map((line) => ({
          stroke: color(line.color),
          width: LINE_WIDTH,
          points: { show: false },
          spanGaps: false,
          ...(line.dash !== undefined && { dash: line.dash }),
          ...(line.stepped === true &&
            uPlot.paths.stepped !== undefined && { paths: uPlot.paths.stepped({ align: 1 }) }),
        })),
      ],
      hooks: {
        drawClear: [(plot) => drawBands(plot, bands, color('--band'), color('--text-3'), font, chart === CHARTS[0])],
        draw: [(plot) => drawChanges(plot, changes, color('--text-2'))],
        setCursor: [
          (plot) => {
            if (plot.cursor.event !== undefined || plot.cursor.idx === null) options.onCursor(plot.cursor.idx ?? null);
          },
        ],
      },
    };
  }

  return {
    draw: ({ series, passStarts, events }) => {
      bands = passStarts;
      changes = events.filter(({ level }) => level === 'change').map(({ t }) => t / 1000);
      const times = [...series.times()];
      plots.forEach((plot, index) => {
        const chart = CHARTS[index];
        if (chart === undefined) return;
        plot.setData([
          times,
          ...chart.lines.map(({ column }) =>
            Array.from(series.column(column), (value) => plotted(value, isLog(chart) ? baseOf(chart) : null)),
          ),
        ]);
      });
    },
    resize: () => {
      plots.forEach((plot, index) => {
        const place = places[index];
        if (place !== undefined && place.clientHeight > 20)
          plot.setSize({ width: place.clientWidth, height: place.clientHeight });
      });
    },
    setCursor: (index) => {
      for (const plot of plots) {
        const t = plot.data[0][index];
        if (t !== undefined) plot.setCursor({ left: plot.valToPos(t, 'x'), top: 0 });
      }
      options.onCursor(index);
    },
    destroy: () => {
      for (const plot of plots) plot.destroy();
    },
  };
}

/** On a logarithmic axis (`base`) the exponents are drawn: it has no zero. Null: nothing is. */
function plotted(value: number, base: number | null): number | null {
  if (Number.isNaN(value)) return null;
  if (base === null) return value;
  return value > 0 ? Math.log(value) / Math.log(base) : null;
}

const emptyData = (chart: Chart): uPlot.AlignedData => [[], ...chart.lines.map(() => [])];

/** Passes as alternating bands; named where there is room for the name. */
function drawBands(
  plot: uPlot,
  starts: readonly number[],
  fill: string,
  text: string,
  font: string,
  named: boolean,
): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.font = font.replace(/^\d+px/u, `${11 * ratio}px`);
  ctx.textAlign = 'center';
  ctx.textBaseline = 'top';
  starts.forEach((start, index) => {
    const left = plot.valToPos(start, 'x', true);
    const next = starts[index + 1];
    const right = next === undefined ? bbox.left + bbox.width : plot.valToPos(next, 'x', true);
    if (index % 2 === 1) {
      ctx.fillStyle = fill;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    if (named && right - left > 22 * ratio) {
      ctx.fillStyle = text;
      ctx.fillText(`P${index + 1}`, (left + right) / 2, bbox.top + 2 * ratio);
    }
  });
  ctx.restore();
}

/** What the user changed, as dotted verticals; the log says what it was. */
function drawChanges(plot: uPlot, at: readonly number[], stroke: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([devicePixelRatio, 3 * devicePixelRatio]);
  for (const t of at) {
    const x = Math.round(plot.valToPos(t, 'x', true)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
