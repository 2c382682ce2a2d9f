// The kernel of this machine, for a command.

import { SkepError } from '../base/error.js';
import { LinuxKernel } from '../linux/index.js';
import type { Connection } from './connect.js';
import { UsageError } from './errors.js';

/** Throws a UsageError (exit status 2) that says what is missing: Linux, the package koffi, the rights. */
export function connectLinux(): Connection {
  let kernel: LinuxKernel;
  try {
    kernel = new LinuxKernel();
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    const hint = cause.hint || 'skep doctor says what this machine can do.';
    throw new UsageError(cause.message, { hint, cause });
  }
  return { bpf: kernel, machine: undefined, linux: true, release: async () => kernel[Symbol.dispose]() };
}
