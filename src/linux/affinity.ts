// Which CPU this thread runs on: a test run counts in the per-CPU values of the CPU that happens to run it.

import { createRequire } from 'node:module';

interface Libc {
  func(prototype: string): (...args: unknown[]) => number;
}

/** Bytes of a CPU set: as many CPUs as the C library's own has. */
const SIZE = 128;

/** A thread that stays on one CPU until this is disposed of. */
export interface Pinned extends Disposable {
  readonly cpu: number;
}

/** Keeps this thread on the first CPU that it may use; undefined where that cannot be asked for. */
export function pinToCpu(): Pinned | undefined {
  const koffi = createRequire(import.meta.url)('koffi') as { load(path: string | null): Libc };
  const libc = koffi.load(null);
  const get = libc.func('int sched_getaffinity(int pid, size_t size, void *mask)');
  const set = libc.func('int sched_setaffinity(int pid, size_t size, void *mask)');
  const before = new Uint8Array(SIZE);
  if (get(0, SIZE, before) < 0) return undefined;
  const byte = before.findIndex((bits) => bits !== 0);
  if (byte < 0) return undefined;
  const bits = before[byte] ?? 0;
  const lowest = bits & -bits;
  const one = new Uint8Array(SIZE);
  one[byte] = lowest;
  if (set(0, SIZE, one) !== 0) return undefined;
  return {
    cpu: byte * 8 + Math.log2(lowest),
    [Symbol.dispose]() {
      set(0, SIZE, before);
    },
  };
}
