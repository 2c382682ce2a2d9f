// What Linux says of itself in files rather than through bpf(2).

import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { SkepError } from '../base/error.js';

/** The number of CPUs in a list such as `0-3,8`. */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const parts = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(parts?.[1]);
    const last = Number(parts?.[2] ?? first);
    if (!parts || last < first) throw new SkepError(`${JSON.stringify(list)} is no list of CPUs`);
    count += last - first + 1;
  }
  return count;
}

/** Possible CPUs: slots in a per-CPU value. */
export const possibleCpus = (): number => countCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));

/** A line of /proc/self/fdinfo as a number; undefined when the kernel does not write it. */
export function fdinfo(fd: number, name: string): number | undefined {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const value = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Seconds since the epoch of a moment in nanoseconds since the machine started (CLOCK_BOOTTIME). */
export const wallClock = (sinceBoot: bigint): number =>
  Math.round(Date.now() / 1000 - uptime() + Number(sinceBoot) / 1e9);
