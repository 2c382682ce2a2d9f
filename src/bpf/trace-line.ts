// The lines of trace_pipe.

import type { TraceEvent } from './bpf.js';

/**
 * What a program printed as Linux shows it: `          task-123     [000] b..11  3819.084273: bpf_trace_printk: text`. Programs run
 * with migration off, and XDP programs with bottom halves off too: that is what the five letters say.
 */
export function traceLine({ task, pid, cpu, timestamp, text, lost = 0 }: TraceEvent): string {
  const micros = timestamp / 1000n;
  const seconds = String(micros / 1_000_000n).padStart(5);
  const fraction = String(micros % 1_000_000n).padStart(6, '0');
  const place = `${task.padStart(16)}-${String(pid).padEnd(7)} [${String(cpu).padStart(3, '0')}]`;
  const before = lost > 0 ? `CPU:${cpu} [LOST ${lost} EVENTS]\n` : '';
  return `${before}${place} b..11 ${seconds}.${fraction}: bpf_trace_printk: ${text}\n`;
}
