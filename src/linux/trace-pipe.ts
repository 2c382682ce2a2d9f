// What programs print, of the whole machine, as lines of trace_pipe in a trace buffer of our own (tracefs.ts).

import { readSync } from 'node:fs';
import type { TraceEvent } from '../bpf/bpf.js';
import { TraceInstance } from './tracefs.js';

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

/** `CPU:1 [LOST 12 EVENTS]`: what came before the next line of that CPU and was overwritten before it was read. */
export function parseLostLine(line: string): { cpu: number; lost: number } | undefined {
  const parts = /^CPU:(\d+) \[LOST (\d+) EVENTS\]$/.exec(line);
  return parts ? { cpu: Number(parts[1]), lost: Number(parts[2]) } : undefined;
}

/** The trace buffer of a kernel and who listens to it. Nothing is set up before somebody does. */
export class TracePipe implements Disposable {
  readonly #listeners = new Set<(event: TraceEvent) => void>();
  readonly #buffer = new Uint8Array(1 << 16);
  readonly #decoder = new TextDecoder();
  #instance: TraceInstance | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rest = '';
  /** Of each CPU, lines that were lost before the next. */
  readonly #lost = new Map<number, number>();

  /** Calls `listener` for each line from now on. Disposing hands out what has been printed until then, and ends it. */
  listen(listener: (event: TraceEvent) => void): Disposable {
    this.#instance ??= new TraceInstance();
    const fd = this.#instance.pipe;
    // What was printed before is for those who listened then.
    this.#look(fd);
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => this.#look(fd), INTERVAL).unref();
    return {
      [Symbol.dispose]: () => {
        if (!this.#listeners.has(listener)) return;
        try {
          this.#look(fd);
        } finally {
          this.#listeners.delete(listener);
          if (this.#listeners.size === 0) this.#rests();
        }
      },
    };
  }

  #rests(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(fd: number): void {
    for (;;) {
      let size: number;
      try {
        size = readSync(fd, this.#buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        throw error;
      }
      if (size === 0) return;
      const text = this.#rest + this.#decoder.decode(this.#buffer.subarray(0, size), { stream: true });
      const lines = text.split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    const gap = parseLostLine(line);
    if (gap) this.#lost.set(gap.cpu, gap.lost);
    const event = parseTraceLine(line);
    if (!event) return;
    const lost = this.#lost.get(event.cpu);
    this.#lost.delete(event.cpu);
    for (const listener of this.#listeners) listener(lost === undefined ? event : { ...event, lost });
  }

  /** Gives the trace buffer back. */
  [Symbol.dispose](): void {
    this.#rests();
    this.#listeners.clear();
    this.#instance?.[Symbol.dispose]();
    this.#instance = undefined;
  }
}
