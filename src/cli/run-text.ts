// The report of `skep run` for a person.

import type { TraceEvent } from '../bpf/bpf.js';
import type { FaultCount, MapReport, RunReport, VerdictCount } from './run-report.js';
import { bar, colors, counted, grouped, hexBytes, percent, printable, table } from './text.js';
import { valueText } from './values.js';

const BAR = 24;
const MAX_FAULTS = 5;

/**
 * An event as trace_pipe prints it (Linux: print_bprintk_msg and trace_print_context): task, process, CPU, flags
 * (of them only what a test run has: preemption and migration off), seconds, text.
 */
export function traceLine({ task, pid, cpu, timestamp, text }: TraceEvent): string {
  const microseconds = timestamp / 1000n;
  const seconds = String(microseconds / 1_000_000n).padStart(5);
  const rest = String(microseconds % 1_000_000n).padStart(6, '0');
  const who = `${task.padStart(16)}-${String(pid).padEnd(7)} [${String(cpu).padStart(3, '0')}]`;
  return `${who} ...11 ${seconds}.${rest}: bpf_trace_printk: ${text}`;
}

export function printReport(report: RunReport): string {
  const parts = [heading(report)];
  if (report.packets > 0) parts.push(verdictTable(report), speed(report));
  else parts.push('  The capture has no packets.\n');
  parts.push(faults(report), trace(report));
  if (report.maps.length > 0) parts.push(...report.maps.map(mapText));
  parts.push(variables(report));
  if (report.output) {
    const { file, packets } = report.output;
    parts.push(`${counted(packets, 'packet')} written to ${file}\n`);
  }
  return parts.filter((part) => part !== '').join('\n');
}

function heading({ object, capture, program, kernel, engine }: RunReport): string {
  const on = capture === '-' ? 'standard input' : capture;
  const how = kernel === 'emulated' ? engine : `${kernel}, ${engine}`;
  return `${colors.bold(program)} of ${object} on ${on} (${how})\n`;
}

const verdictColor = ({ name }: VerdictCount): ((text: string) => string) => {
  if (name === 'XDP_DROP') return colors.yellow;
  if (name === 'XDP_PASS' || name === 'XDP_TX' || name === 'XDP_REDIRECT') return colors.green;
  return colors.red;
};

function verdictTable({ verdicts, packets, bytes }: RunReport): string {
  const rows = verdicts.map((verdict) => {
    const { name, value } = verdict;
    const label = name === 'unknown' && value !== undefined ? `unknown (${value})` : name;
    const color = verdictColor(verdict);
    return [
      color(label),
      grouped(verdict.packets),
      grouped(verdict.bytes),
      percent(verdict.packets, packets),
      color(bar(verdict.packets / packets, BAR)),
    ];
  });
  const head = ['verdict', 'packets', 'bytes', 'share', ''].map((title) => colors.dim(title));
  const total =
    verdicts.length > 1 ? [['total', grouped(packets), grouped(bytes), '', ''].map(colors.dim)] : [];
  return table([head, ...rows, ...total], { right: [1, 2, 3] });
}

function speed({ packets, nanoseconds, warmNanosecondsPerPacket: warm, kernel }: RunReport): string {
  const each = nanoseconds / packets;
  const time = (value: number): string => `${value < 10 ? value.toFixed(1) : grouped(Math.round(value))} ns`;
  const rate = (value: number): string =>
    `${grouped(Math.round(1e9 / Math.max(value, 1e-3)))} packets a second`;
  // The real kernel compiles when it loads.
  if (kernel !== 'emulated') return `  ${time(each)} a packet in the program (${rate(each)})\n`;
  if (warm === undefined)
    return `  ${time(each)} a packet in the program (${rate(each)}), compiling included\n`;
  return `  ${time(warm)} a packet in the program (${rate(warm)}); ${time(each)} with the cold start\n`;
}

function faults({ faults: list, faulted }: RunReport): string {
  if (list.length === 0) return '';
  const shown = list.slice(0, MAX_FAULTS);
  const more =
    list.length > shown.length ? `  ... ${counted(list.length - shown.length, 'other fault')}\n` : '';
  return `${colors.bold(colors.red('Faults'))} (${counted(faulted, 'run')} ended early)\n${shown.map(faultText).join('\n')}${more}`;
}

function faultText(fault: FaultCount): string {
  const { kind, progName, slot, message, instruction, source, count, firstPacket } = fault;
  const times =
    count === 1
      ? `packet ${grouped(firstPacket)}`
      : `${counted(count, 'packet')}, first ${grouped(firstPacket)}`;
  const title = `  ${colors.red(printable(message))} (${times})`;
  if (kind === 'not-run') return `${title}\n`;
  const lines = [title, `    ${colors.dim('at')} ${progName}, instruction ${slot}: ${instruction}`];
  if (source) {
    const { file, line, column, text } = source;
    const gutter = ' '.repeat(String(line).length);
    lines.push(`    ${colors.dim('in')} ${printable(file)}:${line}:${column}`);
    lines.push(`      ${colors.dim(`${line} |`)} ${printable(text)}`);
    // The text may have lost its indentation; then the column would point beside it.
    if (column > 0 && column <= text.length) {
      const before = printable(text.slice(0, column - 1)).length;
      lines.push(`      ${colors.dim(`${gutter} |`)} ${' '.repeat(before)}${colors.red('^')}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function trace({ trace: { total, events, error } }: RunReport): string {
  if (error !== undefined) return `${colors.bold('Trace')}\n  ${colors.red(printable(error))}\n`;
  if (total === 0) return '';
  const title = `${colors.bold('Trace')} (${counted(total, 'line')})\n`;
  const lines = events.map((event) => `  ${printable(traceLine(event))}\n`).join('');
  const more =
    total > events.length ? `  ... ${grouped(total - events.length)} more (--trace ${total})\n` : '';
  return title + lines + more;
}

function mapText(map: MapReport): string {
  const { name, type, maxEntries, count, perCpu, entries, error } = map;
  const array = type.endsWith('array');
  const what = map.records
    ? `${counted(count, 'record')}${map.lost ? `, ${grouped(map.lost)} lost` : ''}`
    : array
      ? counted(maxEntries, 'entry', 'entries')
      : `${grouped(count)} of ${grouped(maxEntries)} entries`;
  const title = `${colors.bold(`Map ${name}`)} (${type}, ${what})\n`;
  const lines = entries.map(({ key, value }) => {
    const at = colors.cyan(array && !map.records ? `[${valueText(key)}]` : valueText(key));
    if (!perCpu || !Array.isArray(value)) return `  ${at} = ${valueText(value)}\n`;
    // One CPU needs no label.
    if (value.length === 1) return `  ${at} = ${valueText(value[0])}\n`;
    return `  ${at}\n${value.map((part, cpu) => `    cpu ${cpu} = ${valueText(part)}\n`).join('')}`;
  });
  return title + lines.join('') + rest(map) + (error ? `  ${colors.red(error)}\n` : '');
}

/** What is not shown of a map. */
function rest({ count, zeros, entries, error }: MapReport): string {
  const more = count - zeros - entries.length;
  const parts: string[] = [];
  if (more > 0) parts.push(`... ${grouped(more)} more (--all-entries)`);
  if (zeros > 0)
    parts.push(zeros === count ? 'all zero' : `${counted(zeros, 'entry', 'entries')} of zeros left out`);
  if (count === 0 && !error) parts.push('empty');
  return parts.map((part) => `  ${colors.dim(part)}\n`).join('');
}

/** The texts of bpf_printk are variables too, which the compiler names `function.____fmt`. */
const isFormat = (name: string): boolean => name.includes('.____fmt');

function variables({ variables: all }: RunReport): string {
  const list = all.filter(({ name }) => !isFormat(name));
  if (list.length === 0) return '';
  const sections = [...new Set(list.map(({ section }) => section))];
  return sections
    .map((section) => {
      const rows = list
        .filter((variable) => variable.section === section)
        .map(
          ({ name, value }) =>
            `  ${colors.cyan(name)} = ${value instanceof Uint8Array ? hexBytes(value) : valueText(value)}\n`,
        );
      return `${colors.bold(`Variables in ${section}`)}\n${rows.join('')}`;
    })
    .join('\n');
}
