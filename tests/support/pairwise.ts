// SPDX-License-Identifier: Apache-2.0
/** Rows of a table of factors: all of them, or few that still hold every pair of values. Pure. */

/** Names of factors with the values that each can have. */
export type Factors = Readonly<Record<string, readonly (string | number | boolean)[]>>;

/** One value for each factor. */
export type RowOf<F extends Factors> = { readonly [K in keyof F]: F[K][number] };

/** Every candidate row is looked at for every row that is chosen. */
const MAX_PRODUCT = 20_000;

/** Every row that is allowed, the last factor changing fastest. */
export function fullProduct<F extends Factors>(
  factors: F,
  allowed: (row: RowOf<F>) => boolean = () => true,
): RowOf<F>[] {
  const names = Object.keys(factors);
  const size = names.reduce((product, name) => product * (factors[name]?.length ?? 0), 1);
  if (size > MAX_PRODUCT) throw new RangeError(`${size} combinations are more than ${MAX_PRODUCT}`);
  let rows: Record<string, unknown>[] = [{}];
  for (const name of names)
    rows = rows.flatMap((row) => (factors[name] ?? []).map((value) => ({ ...row, [name]: value })));
  return (rows as RowOf<F>[]).filter(allowed);
}

/**
 * Rows such that each pair of values of two factors that any allowed row holds is in at least one of them. Greedy: the
 * next row is one that holds the most pairs not seen yet; `random` (0 ≤ x < below, whole) chooses among equals, so the
 * same random numbers give the same rows.
 */
export function pairwiseRows<F extends Factors>(
  factors: F,
  random: (below: number) => number,
  allowed: (row: RowOf<F>) => boolean = () => true,
): RowOf<F>[] {
  const candidates = fullProduct(factors, allowed).map((row) => ({ row, pairs: pairsOf(row) }));
  const missing = new Set(candidates.flatMap(({ pairs }) => pairs));
  const chosen: RowOf<F>[] = [];
  while (missing.size > 0) {
    const gains = candidates.map(({ pairs }) => pairs.filter((pair) => missing.has(pair)).length);
    const most = Math.max(...gains);
    const best = candidates.filter((_, index) => gains[index] === most);
    const next = best[random(best.length)];
    if (next === undefined) throw new RangeError('random() answered a number out of its range');
    chosen.push(next.row);
    for (const pair of next.pairs) missing.delete(pair);
  }
  return chosen;
}

/** Every pair of values of two factors in a row, each as a text. */
export function pairsOf(row: Readonly<Record<string, unknown>>): string[] {
  const values = Object.entries(row).map(([name, value]) => `${name}=${String(value)}`);
  return values.flatMap((first, index) => values.slice(index + 1).map((second) => `${first} ${second}`));
}
