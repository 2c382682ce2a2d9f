// The real kernel for a command, and what an object needs to know of it. Loaded only by commands that were asked for it.

import { release } from 'node:os';
import { SkepError } from '../base/error.js';
import type { TraceEvent } from '../bpf/bpf.js';
import { pinToCpu } from '../linux/affinity.js';
import { LinuxKernel } from '../linux/index.js';
import { UsageError } from './errors.js';

/** The kernel that this process runs on, its thread kept on one CPU. */
export interface RealKernel extends Disposable {
  readonly kernel: LinuxKernel;
  /** `6.18.44`. */
  readonly release: string;
  /** The CPU that programs run on. */
  readonly cpu: number;
  /** Of what the whole machine prints, what this process's test runs do. */
  isOurs(event: TraceEvent): boolean;
}

/** Throws a UsageError (exit status 2) that says what is missing: Linux, the package koffi, the rights. */
export function openRealKernel(): RealKernel {
  let kernel: LinuxKernel;
  try {
    kernel = new LinuxKernel();
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new UsageError(cause.message, {
      hint: cause.hint || 'skep doctor says what this machine can do.',
      cause,
    });
  }
  const pinned = pinToCpu();
  const signals = exitOn({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 });
  return {
    kernel,
    release: release(),
    cpu: pinned?.cpu ?? 0,
    isOurs: ({ pid }) => pid === process.pid,
    [Symbol.dispose]() {
      kernel[Symbol.dispose]();
      pinned?.[Symbol.dispose]();
      signals[Symbol.dispose]();
    },
  };
}

/** Ends the process in order when one of these signals comes, so that the kernel gets its trace buffer back. */
function exitOn(statuses: Partial<Record<NodeJS.Signals, number>>): Disposable {
  const handlers = Object.entries(statuses).map(([signal, status]) => {
    const handler = () => process.exit(status);
    process.once(signal, handler);
    return () => process.off(signal, handler);
  });
  return {
    [Symbol.dispose]() {
      for (const remove of handlers) remove();
    },
  };
}
