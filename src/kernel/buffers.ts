// What programs send to user space and the other way, in the emulated kernel: records lie in linear memory, and whoever
// waits for some is told after the run that sent them.

import type { BufferCommands, Fd, PerfBufferOptions, PerfRecord } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import type { Descriptors } from './descriptors.js';
import type { KernelMachine, Waiter } from './machine.js';
import { hasRecords, putRecord, takeRecords, wakeups } from './maps/index.js';
import type { KernelMemory } from './memory/memory.js';

const PAGE = 4096;
const PERF_RECORD_LOST = 2;
/** Of a record: where it goes on behind its header. */
const BODY = 8;
/** Of a record of lost samples: their number. */
const LOST = 16;

/** The runtime's functions for perf buffers. */
interface PerfRuntime {
  perf_buffer_create(cpu: number, size: number, times: boolean): number;
  perf_buffer_times(buffer: number): number;
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

export class KernelBuffers implements BufferCommands {
  readonly #memory: KernelMemory;
  readonly #runtime: PerfRuntime;
  readonly #machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #waiters = new Set<Waiter>();

  constructor(machine: KernelMachine, descriptors: Descriptors) {
    this.#memory = machine.memory;
    this.#runtime = machine.memory.runtime as unknown as PerfRuntime;
    this.#machine = machine;
    this.#descriptors = descriptors;
  }

  /** The address of a ring buffer of the wanted type. */
  #ring(command: string, fd: Fd, wanted: MapType): number {
    const { map } = this.#descriptors.get(fd, 'map', command);
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

  async perfBufferOpen(cpu: number, size: number, { times = false }: PerfBufferOptions = {}): Promise<Fd> {
    const command = 'perf_event_open';
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= this.#machine.cpus) {
      throw new BpfError(command, Errno.EINVAL, `there is no CPU ${cpu}`);
    }
    if (size < PAGE || !Number.isInteger(Math.log2(size))) {
      throw new BpfError(command, Errno.EINVAL, `a buffer of ${size} bytes is no power of two of pages`);
    }
    const address = this.#create(cpu, size, times);
    if (!address) throw new BpfError(command, Errno.ENOMEM, `a buffer of ${size} bytes`);
    return this.#descriptors.create('perf buffer', { id: 0, address }, () => this.#memory.free(address));
  }

  #create(cpu: number, size: number, times: boolean): number {
    try {
      return this.#runtime.perf_buffer_create(cpu, size, times) >>> 0;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return 0;
      throw error;
    }
  }

  async perfBufferConsume(buffer: Fd): Promise<PerfRecord[]> {
    const { address } = this.#descriptors.get(buffer, 'perf buffer', 'perf_event');
    const times = this.#runtime.perf_buffer_times(address) !== 0;
    const records: PerfRecord[] = [];
    for (let at = this.#peek(address); at; at = this.#peek(address)) {
      records.push(this.#record(at, times));
      this.#runtime.perf_buffer_release(address);
    }
    return records;
  }

  #record(at: number, times: boolean): PerfRecord {
    const memory = this.#memory;
    if (memory.u32(at) === PERF_RECORD_LOST) {
      const lost = memory.u32(at + LOST);
      return times ? { lost, id: memory.view.getBigUint64(at + BODY, true) } : { lost };
    }
    const body = at + BODY + (times ? 8 : 0);
    const data = memory.read(body + 4, memory.u32(body));
    return times ? { data, time: memory.view.getBigUint64(at + BODY, true) } : { data };
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
      const end = () => done(sources.filter((source) => source.isReady()).map(({ fd }) => fd));
      const timer = timeout < 0 ? undefined : setTimeout(end, timeout);
      const begun = sources.map((source) => ({ source, since: source.wakeups() }));
      const done = (which: Fd[]) => {
        this.#waiters.delete(waiter);
        this.#machine.waiters.delete(waiter);
        clearTimeout(timer);
        resolve(which);
      };
      const waiter: Waiter = {
        look: () => {
          const woken = begun.filter(({ source, since }) => source.wakeups() !== since && source.isReady());
          if (woken.length > 0) done(woken.map(({ source }) => source.fd));
        },
        closed: (fd) => {
          if (fds.includes(fd)) done([]);
        },
        end: () => done([]),
      };
      this.#waiters.add(waiter);
      this.#machine.waiters.add(waiter);
    });
  }

  #source(fd: Fd): Source {
    const command = 'poll';
    const buffer = this.#descriptors.find(fd, 'perf buffer');
    if (buffer) {
      const { address } = buffer;
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

  /** A descriptor of this process was closed: nobody waits for what is gone. */
  closed(fd: Fd): void {
    for (const waiter of this.#waiters) waiter.closed(fd);
  }

  /** The process ends: nobody of it waits any more. */
  end(): void {
    for (const waiter of this.#waiters) waiter.end();
  }
}
