// What goes wrong, told on standard error: one line with what and where, a second with what to do.
// Exit status 1 for a failure, 2 for a command that was not understood.

import pc from 'picocolors';
import { SkepError } from '../base/error.js';

/** A request that cannot be understood: exit status 2. */
export class UsageError extends SkepError {}

const colors = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true);

/** The lines for an error. One that is not meant for people (a bug of ours) keeps its stack. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `${colors.red('skep:')} ${String(error)}\n`;
  // BpfError and SkepError speak for themselves.
  const known = error instanceof SkepError || error.name === 'BpfError';
  const text = known ? error.message : (error.stack ?? error.message);
  const hint = error instanceof SkepError && error.hint ? `      ${error.hint}\n` : '';
  return `${colors.red('skep:')} ${text}\n${hint}`;
}

/** Prints an error and sets the exit status. */
export function fail(error: unknown): void {
  process.stderr.write(describeError(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
