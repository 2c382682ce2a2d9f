// Loading with a log: the kernel writes it into a buffer of ours, which grows until the log fits.

import type { Log } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { Command } from './native.js';
import { fromCString } from './session.js';

const FIRST = 1 << 16;
/** A quarter of what the kernel allows; no log of a program that it accepts comes near. */
const LARGEST = 1 << 28;

/** What an errno without a log means. */
const RIGHTS: Readonly<Record<number, string>> = {
  [Errno.EPERM]: 'it needs root, or CAP_BPF with what the program type asks for',
};

/** A signal that arrives while the verifier works ends it with EAGAIN; libbpf tries as often. */
const ATTEMPTS = 5;

/**
 * The descriptor that `load` gives. It is called with a log buffer and a level; without a wish for a log (level 0)
 * first without one, because writing it is slow, and again with level 1 when that fails, for the reason.
 * `trueSize` tells how much room the last log wanted, 0 in kernels that do not say (before 6.4).
 * Throws a BpfError with the log. `log` receives it in any case, empty when none was written.
 */
export function loadWithLog(
  command: Command,
  level: number,
  load: (log: Uint8Array | undefined, level: number) => number,
  trueSize: () => number,
  log: Log = { text: '' },
): number {
  log.text = '';
  const attempt = (buffer: Uint8Array | undefined, wanted: number): number => {
    for (let left = ATTEMPTS; ; left--) {
      const fd = load(buffer, wanted);
      if (fd !== -Errno.EAGAIN || left === 1) return fd;
    }
  };
  if (level === 0) {
    const fd = attempt(undefined, 0);
    if (fd >= 0) return fd;
  }
  for (let size = FIRST; ; ) {
    const buffer = new Uint8Array(size);
    const fd = attempt(buffer, level || 1);
    if (fd >= 0) {
      if (level > 0) log.text = fromCString(buffer);
      return fd;
    }
    if (fd === -Errno.ENOSPC && size < LARGEST) {
      size = Math.min(Math.max(size * 4, trueSize()), LARGEST);
      continue;
    }
    const words = fromCString(buffer);
    log.text = words;
    throw new BpfError(command, -fd, reason(words) || RIGHTS[-fd], words);
  }
}

/** The line of a verifier's log that says why: the last before the statistics. */
function reason(log: string): string {
  const lines = log
    .split('\n')
    .filter((line) => line !== '' && !/^(processed|verification time|stack depth)\b/.test(line));
  return lines.at(-1) ?? '';
}
