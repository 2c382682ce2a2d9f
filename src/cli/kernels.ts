// The real kernel for a command, and what an object needs to know of it. Loaded only by commands that were asked for it.

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { SkepError } from '../base/error.js';
import type { TraceEvent } from '../bpf/bpf.js';
import { Btf } from '../btf/btf.js';
import type { CollectionSpec } from '../elf/spec.js';
import { pinToCpu } from '../linux/affinity.js';
import { LinuxKernel } from '../linux/index.js';
import type { LoadOptions } from '../loader/load.js';
import { UsageError } from './errors.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';

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
  return {
    kernel,
    release: release(),
    cpu: pinned?.cpu ?? 0,
    isOurs: ({ pid }) => pid === process.pid,
    [Symbol.dispose]() {
      kernel[Symbol.dispose]();
      pinned?.[Symbol.dispose]();
    },
  };
}

/** What an object asks of the running kernel: its version, and its types where the object refers to them. */
export function kernelFacts(spec: CollectionSpec): Pick<LoadOptions, 'kernelVersion' | 'kernelBtf'> {
  const kernelVersion = release();
  const needed =
    spec.externs.some(({ section }) => section === '.ksyms') ||
    spec.programs.some(
      ({ coreRelocations, attachTo }) => coreRelocations.length > 0 || attachTo !== undefined,
    );
  if (!needed) return { kernelVersion };
  try {
    return { kernelVersion, kernelBtf: Btf.parse(new Uint8Array(readFileSync(VMLINUX))) };
  } catch {
    // The loader says which program cannot do without.
    return { kernelVersion };
  }
}
