// The report of `skep compare` for a person.

import type { Value } from '../btf/value.js';
import type { Comparison, Difference, Verdict } from '../compare/comparison.js';
import type { ComparisonReport } from './compare.js';
import { verifierLogText } from './errors.js';
import { actionName } from './run-report.js';
import { colors, counted, grouped, printable } from './text.js';
import { valueText } from './values.js';

export function comparisonText(report: ComparisonReport): string {
  const parts = [heading(report), verdicts(report)];
  if (report.load.left.accepted && report.load.right.accepted) parts.push(compared(report));
  parts.push(aside(report), differences(report));
  return parts.filter((part) => part !== '').join('\n');
}

function heading({ object, capture, program, engine, release }: ComparisonReport): string {
  const on = capture === '-' ? 'standard input' : capture;
  return `${colors.bold(program)} of ${object} on ${on}: emulated (${engine}) and linux ${release}\n`;
}

/** Who refused the object, and the logs. */
function verdicts(report: ComparisonReport): string {
  const { left, right } = report.load;
  if (left.accepted && right.accepted) return '';
  const side = (name: string, { accepted, message = '', log }: Verdict): string => {
    if (accepted) return `  ${colors.bold(name)} ${colors.green('accepts the object')}\n`;
    const indented = log ? verifierLogText(log).replace(/^/gm, '  ').trimEnd() : '';
    return `  ${colors.bold(name)} ${colors.red('refuses the object')}\n    ${printable(message)}\n${indented && `${indented}\n`}`;
  };
  return side(report.left, left) + side(report.right, right);
}

function compared({ inputs, runs, notRun, maps, variables, traceLines }: Comparison): string {
  const elements = maps.reduce((sum, map) => sum + map.elements, 0);
  const lines = [
    `  ${counted(runs, 'packet')} run by both: return values, packets, contexts`,
    `  ${counted(maps.length, 'map')} with ${counted(elements, 'element')}, ${counted(variables.length, 'variable')}, ` +
      counted(traceLines, 'line of trace', 'lines of trace'),
  ];
  if (inputs === 0) lines[0] = '  The capture has no packets.';
  for (const { reason, count, first } of notRun) {
    lines.push(`  ${counted(count, 'packet')} not run, the first is ${grouped(first + 1)}: ${reason}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** What was not compared, may differ, or depends on the kernel. */
function aside({ notCompared, expected, notes }: Comparison): string {
  const lines = [
    ...notCompared.map(({ what, reason }) => `not compared: ${what}: ${reason}`),
    ...expected.map(({ expected: { reason }, count }) => `${reason}: ${counted(count, 'difference')}`),
    ...notes.map(({ what, why }) => `depends on the kernel: ${what}: ${why}`),
  ];
  return lines.map((line) => `  ${colors.dim(printable(line))}\n`).join('');
}

function differences(report: ComparisonReport): string {
  const { total } = report;
  if (total === 0) return `${colors.green('No difference')}\n`;
  // Who accepts the object has been said.
  const shown = report.differences.filter(({ what }) => what !== 'load');
  const title = `${colors.bold(colors.red(counted(total, 'difference')))}\n`;
  const width = Math.max(report.left.length, report.right.length);
  const side = (name: string, text: string): string => `    ${name.padEnd(width)}  ${text}\n`;
  const list = shown.map((difference) => {
    const [left, right] = sides(difference);
    return `\n  ${colors.bold(printable(place(difference)))}\n${side(report.left, left)}${side(report.right, right)}`;
  });
  const more = total - report.differences.length;
  return title + list.join('') + (more > 0 ? `\n  ... ${grouped(more)} more\n` : '');
}

const packet = (run: number): string => `packet ${grouped(run + 1)}`;

function place(difference: Difference): string {
  switch (difference.what) {
    case 'load':
      return 'load';
    case 'log':
      return `verifier's log, line ${difference.line}`;
    case 'run':
      return packet(difference.run);
    case 'retval':
      return `${packet(difference.run)}: return value of ${difference.program}`;
    case 'packet':
      return `${packet(difference.run)}: the packet afterwards, from byte ${difference.offset} on`;
    case 'context':
      return `${packet(difference.run)}: the context afterwards, from byte ${difference.offset} on`;
    case 'trace':
      return `${packet(difference.run)}: line ${difference.line} of its trace`;
    case 'record':
      return `${packet(difference.run)}: record ${difference.record} of map ${difference.map}`;
    case 'map': {
      const { map, key, cpu, run } = difference;
      const at = key === undefined ? '' : ` [${valueText(key)}]`;
      return `map ${map}${at}${cpu === undefined ? '' : `, cpu ${cpu}`}${after(run)}`;
    }
    case 'variable':
      return `variable ${difference.variable} (${difference.section})${after(difference.run)}`;
  }
}

const after = (run: number | undefined): string => (run === undefined ? '' : `, after ${packet(run)}`);

/** Bytes that are shown from the first that differs on. */
const BYTES = 24;

function sides({ ...difference }: Difference): [left: string, right: string] {
  const { what, left, right } = difference;
  if (what === 'packet' || what === 'context') {
    const { offset } = difference;
    return [bytesFrom(left, offset), bytesFrom(right, offset)];
  }
  if (what === 'retval') return [verdict(left), verdict(right)];
  if (what === 'run' || what === 'trace' || what === 'log' || what === 'load')
    return [line(left), line(right)];
  return [element(left), element(right)];
}

const line = (text: Value | undefined): string =>
  text === undefined ? colors.dim('nothing') : printable(String(text));
const element = (value: Value | undefined): string =>
  value === undefined ? colors.dim('not there') : valueText(value);

function verdict(value: Value | undefined): string {
  const name = typeof value === 'number' ? actionName(value) : undefined;
  return name === undefined ? String(value) : `${name} (${value})`;
}

function bytesFrom(value: Value | undefined, offset: number): string {
  if (!(value instanceof Uint8Array)) return colors.dim('nothing');
  const shown = value.subarray(offset, offset + BYTES);
  const more = value.length > offset + BYTES ? ' ...' : '';
  const length = colors.dim(`(${counted(value.length, 'byte')})`);
  return shown.length === 0 ? `ends ${length}` : `${valueText(shown)}${more} ${length}`;
}
