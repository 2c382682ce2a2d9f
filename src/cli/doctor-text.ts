// The diagnosis for a person: a line for each thing, and below it what to do where it is missing.

import type { Check, Diagnosis } from './doctor.js';
import { colors, printable } from './text.js';

export function doctorText({ ok, groups }: Diagnosis): string {
  const width = Math.max(...groups.flatMap(({ checks }) => checks.map(({ name }) => name.length)));
  const parts = groups.map(({ name, for: purpose, checks }) => {
    const title = `${colors.bold(name)} ${colors.dim(`(for ${purpose})`)}\n`;
    return title + checks.map((check) => line(check, width)).join('');
  });
  const linux = groups.flatMap(({ checks }) => checks).some((check) => check.name === 'bpf(2)' && check.ok);
  const end = !ok
    ? colors.red('Skep does not run here: see what is missing above.')
    : linux
      ? colors.green('Programs run here, in the emulated kernel and in Linux.')
      : colors.green('Programs run here in the emulated kernel.');
  return `${parts.join('\n')}\n${end}\n`;
}

function line({ name, ok, detail, advice }: Check, width: number): string {
  const mark = ok ? colors.green('ok') : colors.red('no');
  const todo =
    advice === undefined ? '' : `      ${' '.repeat(width)}  ${colors.yellow(printable(advice))}\n`;
  return `  ${mark}  ${name.padEnd(width)}  ${printable(detail)}\n${todo}`;
}
