// What goes wrong, told on standard error: one line with what and where, a second with what to do.
// Exit status 1 for a failure, 2 for a command that was not understood.

import pc from 'picocolors';
import { SkepError } from '../base/error.js';
import { BpfError } from '../bpf/errno.js';
import { RefusedProgram } from '../loader/refused.js';
import { counted, printable } from './text.js';

/** A request that cannot be understood: exit status 2. */
export class UsageError extends SkepError {}

const colors = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true);

/**
 * The lines for an error. One that is not meant for people (a bug of ours) keeps its stack. `why` is told in place of the
 * verifier's log.
 */
export function describeError(error: unknown, why?: string): string {
  if (!(error instanceof Error)) return `${colors.red('skep:')} ${String(error)}\n`;
  // BpfError and SkepError speak for themselves.
  const known = error instanceof SkepError || error.name === 'BpfError';
  const text = known ? error.message : (error.stack ?? error.message);
  const hint = error instanceof SkepError && error.hint ? `      ${error.hint}\n` : '';
  return `${colors.red('skep:')} ${text}\n${hint}${why ?? logText(error.cause)}`;
}

/** Lines of a verifier's log that are shown: the last ones, which say why. */
const MAX_LOG_LINES = 200;

/** The log of the verifier that refused a program, indented; empty when there is none. */
function logText(cause: unknown): string {
  return cause instanceof BpfError && cause.verifierLog ? verifierLogText(cause.verifierLog) : '';
}

/** A verifier's log for a person: its last lines, indented. */
export function verifierLogText(log: string): string {
  const lines = log.trimEnd().split('\n');
  const left = Math.max(0, lines.length - MAX_LOG_LINES);
  const shown = lines.slice(left).map((line) => `  ${printable(line)}\n`);
  return (left > 0 ? `  ... ${counted(left, 'line')} before\n` : '') + shown.join('');
}

/** The same; what a verifier refused is explained. Its log is printed as well with `log`. */
export async function failExplained(error: unknown, options: { log?: boolean } = {}): Promise<void> {
  const cause = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof BpfError) || !cause.verifierLog) return fail(error);
  const { explain } = await import('../kernel/verifier/explain/index.js');
  const { explanationText, lineOf } = await import('./explanation-text.js');
  const log = cause.verifierLog;
  const lines = error instanceof RefusedProgram ? lineOf(error.program) : undefined;
  const more = options.log
    ? `\n${verifierLogText(log)}`
    : "      (--log prints all of the verifier's log.)\n";
  process.stderr.write(describeError(error, `\n${explanationText(explain(log, lines))}${more}`));
  process.exitCode = 1;
}

/** Prints an error and sets the exit status. */
export function fail(error: unknown, status: number = error instanceof UsageError ? 2 : 1): void {
  process.stderr.write(describeError(error));
  process.exitCode = status;
}
