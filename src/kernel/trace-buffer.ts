// What programs print, until somebody reads it (Linux: the ring buffer of ftrace): the oldest lines make room for new ones.
// Reading by trace_pipe takes lines away; whoever listens gets each line as it comes and takes none.

import type { TraceEvent } from '../bpf/bpf.js';
import { traceLine } from '../bpf/trace-line.js';
import type { FileReader } from './fs/nodes.js';

/** Bytes, as Linux has them for each CPU, and what an event takes beside its text. */
const ROOM = 1408 * 1024;
const HEADER = 24;
/** So many events are forgotten by moving an index, before the array is cut. */
const SLACK = 1024;

const utf8 = new TextEncoder();

/** The head of `trace`, which says what the columns are. */
const LEGEND = `#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
`;

export class TraceBuffer {
  readonly #listeners = new Set<(event: TraceEvent) => void>();
  readonly #waiting = new Set<() => void>();
  readonly #events: TraceEvent[] = [];
  /** Of the oldest event that is there. */
  #first = 0;
  #bytes = 0;
  #written = 0;
  /** Events that had to go since the last was read. */
  #lost = 0;

  add(event: TraceEvent): void {
    this.#events.push(event);
    this.#bytes += HEADER + event.text.length;
    this.#written++;
    while (this.#bytes > ROOM && this.#count > 1) {
      this.#shift();
      this.#lost++;
    }
    for (const listener of this.#listeners) listener(event);
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  get #count(): number {
    return this.#events.length - this.#first;
  }

  #shift(): TraceEvent | undefined {
    const event = this.#events[this.#first];
    if (!event) return undefined;
    this.#first++;
    this.#bytes -= HEADER + event.text.length;
    if (this.#first >= SLACK && this.#first * 2 >= this.#events.length) {
      this.#events.splice(0, this.#first);
      this.#first = 0;
    }
    return event;
  }

  /** Calls `listener` for each event from now on; what is returned ends that. */
  listen(listener: (event: TraceEvent) => void): () => void {
    // The same function may listen twice.
    const own = (event: TraceEvent) => listener(event);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** The next line, which is then gone; undefined when there is none. */
  #take(): Uint8Array | undefined {
    const event = this.#shift();
    if (!event) return undefined;
    const lost = this.#lost;
    this.#lost = 0;
    return utf8.encode(traceLine(lost > 0 ? { ...event, lost } : event));
  }

  /** All lines that there are; they are gone then. */
  takeAll(): Uint8Array {
    const lines: Uint8Array[] = [];
    for (let line = this.#take(); line; line = this.#take()) lines.push(line);
    return joined(lines);
  }

  /** What `trace` shows, which takes nothing away. `cpus`: online ones. */
  show(cpus: number): Uint8Array {
    const head = `# tracer: nop\n#\n# entries-in-buffer/entries-written: ${this.#count}/${this.#written}   #P:${cpus}\n`;
    const lines = this.#events.slice(this.#first).map((event) => traceLine(event));
    return utf8.encode(head + LEGEND + lines.join(''));
  }

  clear(): void {
    this.#events.length = 0;
    this.#first = 0;
    this.#bytes = 0;
    this.#written = 0;
    this.#lost = 0;
  }

  /** A reader of trace_pipe: whole lines as long as they fit, and it waits for more. */
  reader(): FileReader {
    let rest: Uint8Array = new Uint8Array();
    let open = true;
    let wake: (() => void) | undefined;
    return {
      read: async (size) => {
        const parts: Uint8Array[] = [];
        let room = size;
        while (open && size > 0) {
          if (rest.length === 0) rest = this.#take() ?? rest;
          const fits = rest.length > 0 && (rest.length <= room || parts.length === 0);
          if (fits) {
            const part = rest.subarray(0, room);
            parts.push(part);
            rest = rest.subarray(part.length);
            room -= part.length;
          } else if (parts.length > 0) {
            break;
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
              this.#waiting.add(resolve);
            });
          }
        }
        return joined(parts);
      },
      close: () => {
        open = false;
        if (!wake) return;
        this.#waiting.delete(wake);
        wake();
      },
    };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
