// Numbers, bars and tables as text for people.

import pc from 'picocolors';

/** Colours for standard output: none unless it is a terminal that wants them (NO_COLOR, TERM=dumb). */
export const colors = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true);

const { LC_ALL, LC_CTYPE, LANG, TERM } = process.env;
/** Whether block characters can be shown: not on dumb terminals and not in the C locale. */
const blocks = TERM !== 'dumb' && !/^(C|POSIX)$/.test(LC_ALL || LC_CTYPE || LANG || '');

/** `1,234,567`. (toLocaleString takes 20 ms to start.) */
export const grouped = (value: number | bigint): string =>
  String(value).replace(/(?<!\..*)\B(?=(\d{3})+(?!\d))/g, ',');

/** `1 packet`, `2 packets`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

/** `12.3 %`; `< 0.1 %` for what is there but rounds to nothing. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '0.0 %';
  const share = (100 * part) / whole;
  if (part > 0 && share < 0.05) return '< 0.1 %';
  // All but a few is not all.
  return `${(part < whole ? Math.min(share, 99.9) : share).toFixed(1)} %`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar for a share of 0 to 1, at most `width` characters; whatever is there shows at least a sliver. */
export function bar(share: number, width: number): string {
  if (!blocks) return '#'.repeat(share > 0 ? Math.max(1, Math.round(share * width)) : 0);
  const eighths = share > 0 ? Math.max(1, Math.round(share * width * 8)) : 0;
  return '█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '');
}

/** Rows as aligned columns; `right` names the columns of numbers. Ends with a line end. */
export function table(
  rows: readonly (readonly string[])[],
  options: { indent?: string; right?: readonly number[] } = {},
): string {
  const { indent = '  ', right = [] } = options;
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, visible(cell));
    });
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const fill = ' '.repeat((widths[i] ?? 0) - visible(cell));
        return right.includes(i) ? fill + cell : cell + fill;
      })
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${indent}${line(row)}\n`).join('');
}

/** Characters on the screen: colours take none. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with ESC
const visible = (cell: string): number => cell.replace(/\x1b\[[0-9;]*m/g, '').length;

/** Bytes in a unit that fits: `812 B`, `6.1 KB` (1,000 bytes). */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['KB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Text from outside (names, source lines) without control characters, which could drive a terminal. */
export const printable = (text: string): string =>
  text.replace(/\t/g, '  ').replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** `de ad be ef`, as bpftool writes bytes. */
export const hexBytes = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
