// What programs send to user space and the other way, in the emulated kernel: records lie in linear memory, and whoever
// waits for some is told after the run that sent them.

import type { BufferCommands, Fd, PerfRecord } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import { hasRecords, putRecord, takeRecords, wakeups } from './maps/index.js';
import type { KernelMemory } from './memory/memory.js';
import type { ObjectTable, PerfBufferObject } from './objects.js';

const PAGE = 4096;
const PERF_RECORD_LOST = 2;
/** Of a sample: where its length and its data are. */
const SAMPLE_SIZE = 8;
const SAMPLE_DATA = 12;
/** Of a record of lost samples: their number. */
const LOST = 16;

/** The runtime's functions for perf buffers. */
interface PerfRuntime {
  perf_buffer_create(cpu: number, size: number): number;
  perf_buffer_peek(buffer: number): number;
  perf_buffer_release(buffer: number): void;
  perf_buffer_wakeups(buffer: number): number;
}

/** Something that can be waited for. */
interface Source {
  readonly fd: Fd;
  /** Whether there is something to take. */
  isReady(): boolean;
  /** How often its readers were woken. */
  wakeups(): number;
}

interface Waiter {
  readonly sources: readonly { source: Source; since: number }[];
  done(ready: Fd[]): void;
}

export class KernelBuffers implements BufferCommands {
  readonly #memory: KernelMemory;
  readonly #runtime: PerfRuntime;
  readonly #objects: ObjectTable;
  readonly #cpus: number;
  readonly #waiters = new Set<Waiter>();

  constructor(memory: KernelMemory, objects: ObjectTable, cpus: number) {
    this.#memory = memory;
    this.#runtime = memory.runtime as unknown as PerfRuntime;
    this.#objects = objects;
    this.#cpus = cpus;
  }

  /** The address of a ring buffer of the wanted type. */
  #ring(command: string, fd: Fd, wanted: MapType): number {
    const { map } = this.#objects.get(fd, 'map', command);
    if (map.type === wanted) return map.address;
    const detail = `it is a ${mapTypeName(map.type)} map, not a ${mapTypeName(wanted)}`;
    throw new BpfError(command, Errno.EINVAL, detail);
  }

  async ringbufConsume(map: Fd): Promise<Uint8Array[]> {
    return takeRecords(this.#memory, this.#ring('ringbuf', map, MapType.Ringbuf));
  }

  async ringbufProduce(map: Fd, record: Uint8Array): Promise<void> {
    const command = 'user_ringbuf';
    const result = putRecord(this.#memory, this.#ring(command, map, MapType.UserRingbuf), record);
    if (result < 0) throw new BpfError(command, -result, `${record.length} bytes`);
  }

  async perfBufferOpen(cpu: number, size: number): Promise<Fd> {
    const command = 'perf_event_open';
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= this.#cpus) {
      throw new BpfError(command, Errno.EINVAL, `there is no CPU ${cpu}`);
    }
    if (size < PAGE || !Number.isInteger(Math.log2(size))) {
      throw new BpfError(command, Errno.EINVAL, `a buffer of ${size} bytes is no power of two of pages`);
    }
    const address = this.#create(cpu, size);
    if (!address) throw new BpfError(command, Errno.ENOMEM, `a buffer of ${size} bytes`);
    return this.#objects.add('perf buffer', { id: 0, address }, () => this.#memory.free(address));
  }

  #create(cpu: number, size: number): number {
    try {
      return this.#runtime.perf_buffer_create(cpu, size) >>> 0;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return 0;
      throw error;
    }
  }

  async perfBufferConsume(buffer: Fd): Promise<PerfRecord[]> {
    const { address } = this.#objects.get(buffer, 'perf buffer', 'perf_event');
    const records: PerfRecord[] = [];
    for (let at = this.#peek(address); at; at = this.#peek(address)) {
      const memory = this.#memory;
      const lost = memory.u32(at) === PERF_RECORD_LOST;
      records.push(
        lost
          ? { lost: memory.u32(at + LOST) }
          : { data: memory.read(at + SAMPLE_DATA, memory.u32(at + SAMPLE_SIZE)) },
      );
      this.#runtime.perf_buffer_release(address);
    }
    return records;
  }

  #peek(buffer: number): number {
    return this.#runtime.perf_buffer_peek(buffer) >>> 0;
  }

  async poll(fds: readonly Fd[], timeout: number): Promise<Fd[]> {
    const sources = fds.map((fd) => this.#source(fd));
    const ready = sources.filter((source) => source.isReady());
    if (ready.length > 0 || timeout === 0) return ready.map(({ fd }) => fd);
    return new Promise((resolve) => {
      // The last look, as Linux has it: what came without a wake-up counts.
      const end = () => waiter.done(sources.filter((source) => source.isReady()).map(({ fd }) => fd));
      const timer = timeout < 0 ? undefined : setTimeout(end, timeout);
      const waiter: Waiter = {
        sources: sources.map((source) => ({ source, since: source.wakeups() })),
        done: (which) => {
          this.#waiters.delete(waiter);
          clearTimeout(timer);
          resolve(which);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  #source(fd: Fd): Source {
    const command = 'poll';
    if (this.#objects.kind(fd, command) === 'perf buffer') {
      const { address } = this.#objects.get(fd, 'perf buffer', command);
      return {
        fd,
        isReady: () => this.#peek(address) !== 0,
        wakeups: () => this.#runtime.perf_buffer_wakeups(address),
      };
    }
    const address = this.#ring(command, fd, MapType.Ringbuf);
    return {
      fd,
      isReady: () => hasRecords(this.#memory, address),
      wakeups: () => wakeups(this.#memory, address),
    };
  }

  /** A program has run: whoever was woken goes on. */
  wake(): void {
    for (const { sources, done } of this.#waiters) {
      const woken = sources.filter(({ source, since }) => source.wakeups() !== since && source.isReady());
      if (woken.length > 0) done(woken.map(({ source }) => source.fd));
    }
  }

  /** Nobody waits for what is gone. */
  closed(fd: Fd): void {
    for (const { sources, done } of this.#waiters) {
      if (sources.some(({ source }) => source.fd === fd)) done([]);
    }
  }
}

/** The perf buffer behind a descriptor, as a map holds it. */
export function perfBufferOf(objects: ObjectTable, fd: Fd, command: string): PerfBufferObject {
  const buffer = objects.find(fd, 'perf buffer');
  if (buffer) return buffer;
  throw new BpfError(command, Errno.EBADF, `descriptor ${fd} is no perf event`);
}
