// Starting the process that a kernel stays in.

import { type ChildProcess, spawn } from 'node:child_process';
import { SkepError } from '../base/error.js';
import type { KernelPlace } from './run-directory.js';

/** Starts `entry` with the kernel's name and options, and gives back the line that it reports with. */
export async function startKernel(
  { name, log }: KernelPlace,
  entry: string,
  options: object,
): Promise<string> {
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [entry, name, JSON.stringify(options)], {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'ignore'],
      // The directory that somebody stands in can be unmounted and removed while the kernel stays.
      cwd: process.platform === 'win32' ? undefined : '/',
    });
  } catch (cause) {
    throw notStarted(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
  let text = '';
  let failure: Error | undefined;
  child.stdout?.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await new Promise<void>((resolve) => {
    child.once('error', (error) => {
      failure = error;
      resolve();
    });
    child.stdout?.once('close', resolve);
  });
  child.unref();
  if (text.endsWith('\n')) return text;
  const why = failure ? failure.message : `its process ended at once; ${log} may say why`;
  throw notStarted(name, why, failure);
}

const notStarted = (name: string, why: string, cause?: unknown): SkepError =>
  new SkepError(`the kernel \`${name}\` could not be started: ${why}`, { cause });
