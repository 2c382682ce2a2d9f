// Why a program was refused, as text: the place in the source, the way there, what was asked and what was found.

import type { ProgramSpec } from '../elf/spec.js';
import type { Explanation, Origin, SourceLine } from '../kernel/verifier/explain/index.js';
import { colors, printable } from './text.js';

/** Branches that are shown: the last ones before the fault. */
const MAX_BRANCHES = 8;

const place = ({ file, line }: SourceLine): string => `${printable(file.replace(/^\.\//, ''))}:${line}`;
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const sameLine = (a: SourceLine | undefined, b: SourceLine | undefined): boolean =>
  a !== undefined && b !== undefined && a.line === b.line && nameOf(a.file) === nameOf(b.file);

/** The source line of an instruction, from the object's line information. */
export const lineOf =
  ({ lines }: ProgramSpec) =>
  (slot: number): SourceLine | undefined => {
    const found = lines.findLast((line) => line.slot <= slot);
    return found && { file: found.file, line: found.line, column: found.column, text: found.text };
  };

/** The explanation, each line indented by `indent`. Ends with a line end. */
export function explanationText(explanation: Explanation, indent = '  '): string {
  const { title, message, required, found, mend, at, branches, origin } = explanation;
  const lines = [colors.bold(title)];
  if (at?.line) lines.push('', ...frame(at.line));
  else if (at) lines.push('', `  instruction ${at.slot}: ${printable(at.instruction)}`);
  lines.push('', `Required: ${required}`);
  if (found) lines.push(`Found:    ${printable(found)}`);
  if (origin.length > 0) lines.push('', 'Where it came from, the latest first:', ...origin.flatMap(cameFrom));
  if (branches.length > 0) {
    const shown = branches.slice(-MAX_BRANCHES);
    const left = branches.length - shown.length;
    lines.push(
      '',
      `The way there${left > 0 ? ` (the last ${shown.length} of ${branches.length} branches)` : ''}:`,
    );
    for (const { line, next, instruction, slot, taken } of shown) {
      const condition = line
        ? `${place(line)}  ${printable(line.text.trim())}`
        : `${slot}: ${printable(instruction)}`;
      const on =
        next && !sameLine(line, next) ? `goes on at line ${next.line}` : taken ? 'jumps' : 'does not jump';
      lines.push(`  ${condition}  ${colors.dim(`-> ${on}`)}`);
    }
  }
  lines.push('', `Mending:  ${mend}`, colors.dim(`Verifier: ${printable(message)}`));
  return lines.map((line) => `${line === '' ? '' : indent}${line}\n`).join('');
}

/** The line of source with a mark below the column. */
function frame(source: SourceLine): string[] {
  const { line, column, text } = source;
  const number = String(line);
  const lines = [`${place(source)}${column ? `:${column}` : ''}`];
  lines.push(`${number.padStart(8)} | ${printable(text)}`);
  if (column) {
    const before = printable(text.slice(0, column - 1)).length;
    lines.push(`${' '.repeat(8)} | ${' '.repeat(before)}${colors.red('^')}`);
  }
  return lines;
}

function cameFrom({ line, slot, instruction, words }: Origin): string[] {
  const where = line
    ? `${place(line)}  ${printable(line.text.trim())}`
    : `${slot}: ${printable(instruction)}`;
  return [`  ${where}`, `    ${printable(words)}`];
}
