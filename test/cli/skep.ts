// Runs the built command as a user does: a child process with arguments, standard input and an exit status.

import { spawnSync } from 'node:child_process';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '../..');
const main = path.join(root, 'dist/cli/main.js');

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** `skep ...` in the root of the project, or in the folder `cwd` below it. */
export function skep(
  args: readonly string[],
  options: { input?: string | Uint8Array; cwd?: string } = {},
): Outcome {
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [main, ...args], {
    cwd: path.join(root, options.cwd ?? '.'),
    encoding: 'utf8',
    input: options.input ?? '',
    maxBuffer: 1 << 27,
    env: { ...process.env, NO_COLOR: '1', LC_ALL: 'C.UTF-8' },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** The standard output of a command that succeeds and has nothing to complain about. */
export function output(...args: string[]): string {
  const { status, stdout, stderr } = skep(args);
  if (status !== 0 || stderr !== '') throw new Error(`skep ${args.join(' ')}: status ${status}\n${stderr}`);
  return stdout;
}
