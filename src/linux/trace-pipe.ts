// trace_pipe: what programs print, of the whole machine. Reading takes the lines away from other readers.

import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { TraceEvent } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';

const PLACES = ['/sys/kernel/tracing/trace_pipe', '/sys/kernel/debug/tracing/trace_pipe'];
/** Milliseconds between two looks. */
const INTERVAL = 20;

/** One line, `task-pid [cpu] flags seconds.micros: bpf_trace_printk: text`; undefined for what no program printed. */
export function parseTraceLine(line: string): TraceEvent | undefined {
  const parts = /^ *(.+)-(\d+) +\[(\d+)\] \S+ +(\d+)\.(\d{6}): bpf_trace_printk: (.*)$/.exec(line);
  if (!parts) return undefined;
  const [, task = '', pid, cpu, seconds = '0', micros = '0', text = ''] = parts;
  return {
    task,
    pid: Number(pid),
    cpu: Number(cpu),
    timestamp: BigInt(seconds) * 1_000_000_000n + BigInt(micros) * 1000n,
    text,
  };
}

function open(): number {
  for (const place of PLACES) {
    try {
      return openSync(place, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch {}
  }
  throw new BpfError(
    'trace_pipe',
    Errno.ENOSYS,
    `cannot be read: neither ${PLACES.join(' nor ')} is there for this user`,
  );
}

/** Calls `listener` for each line that a program prints from now on. */
export function readTracePipe(listener: (event: TraceEvent) => void): Disposable {
  const fd = open();
  const buffer = new Uint8Array(1 << 16);
  const decoder = new TextDecoder();
  let rest = '';
  const look = (report: boolean) => {
    for (;;) {
      let size: number;
      try {
        size = readSync(fd, buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        throw error;
      }
      if (size === 0) return;
      const lines = (rest + decoder.decode(buffer.subarray(0, size), { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (!report) continue;
      for (const line of lines) {
        const event = parseTraceLine(line);
        if (event) listener(event);
      }
    }
  };
  // What was printed before is not ours.
  look(false);
  const timer = setInterval(() => look(true), INTERVAL);
  timer.unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      try {
        look(true);
      } finally {
        closeSync(fd);
      }
    },
  };
}
