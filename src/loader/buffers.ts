// What programs send to user space, and what it sends to them: ring buffers, user ring buffers and perf buffers.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd, PerfRecord } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import type { LoadedMap } from './map.js';

/** How long one wait in the kernel takes, in milliseconds: an abort is seen between two. */
const WAIT = 100;
/** Bytes of a perf buffer, unless told otherwise: 8 pages. */
const PERF_BUFFER = 8 * 4096;

function checkType(map: LoadedMap, wanted: MapType): void {
  const { type } = map.spec;
  if (type === wanted) return;
  throw new SkepError(`is a ${mapTypeName(type)} map, not a ${mapTypeName(wanted)}`, {
    where: `map '${map.name}'`,
  });
}

/** What `consume` gives, one after the other, as it comes; ends when `signal` is aborted. */
async function* follow<T>(
  kernel: Bpf,
  fds: readonly Fd[],
  consume: () => Promise<readonly T[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  while (!signal?.aborted) {
    const records = await consume();
    yield* records;
    if (records.length === 0) await kernel.poll(fds, WAIT);
  }
}

/** Records that programs write to a ring buffer (BPF_MAP_TYPE_RINGBUF), each once, in the order of their reservation. */
export class RingBuffer {
  readonly map: LoadedMap;
  readonly #kernel: Bpf;

  constructor(kernel: Bpf, map: LoadedMap) {
    checkType(map, MapType.Ringbuf);
    this.map = map;
    this.#kernel = kernel;
  }

  /** Takes the records that there are; none when the next is still being written. */
  async consume(): Promise<Uint8Array[]> {
    return this.#kernel.ringbufConsume(this.map.fd);
  }

  /** Records as they come, until the loop is left or `signal` is aborted. */
  records(signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    return follow(this.#kernel, [this.map.fd], () => this.consume(), signal);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.records();
  }
}

/** The other way: records for programs to drain (BPF_MAP_TYPE_USER_RINGBUF). */
export class UserRingBuffer {
  readonly map: LoadedMap;
  readonly #kernel: Bpf;

  constructor(kernel: Bpf, map: LoadedMap) {
    checkType(map, MapType.UserRingbuf);
    this.map = map;
    this.#kernel = kernel;
  }

  /** Puts a record in; false when there is no room now. Fails with a BpfError (E2BIG) when there never is. */
  async produce(record: Uint8Array): Promise<boolean> {
    try {
      await this.#kernel.ringbufProduce(this.map.fd, record);
      return true;
    } catch (error) {
      if (error instanceof BpfError && error.errno === Errno.ENOSPC) return false;
      throw error;
    }
  }
}

/** What a program sent from a CPU, or how many samples of this CPU were lost before. */
export type PerfSample = PerfRecord & { cpu: number };

/** What programs send to a perf event array: a buffer for each CPU. Give it back with `close`, or by `await using`. */
export class PerfBuffer {
  readonly map: LoadedMap;
  readonly #kernel: Bpf;
  #buffers: { cpu: number; fd: Fd }[] = [];

  private constructor(kernel: Bpf, map: LoadedMap) {
    checkType(map, MapType.PerfEventArray);
    this.map = map;
    this.#kernel = kernel;
  }

  /** Opens buffers of `size` bytes, a power of two of pages, for the CPUs that the map has slots for. */
  static async open(kernel: Bpf, map: LoadedMap, size = PERF_BUFFER): Promise<PerfBuffer> {
    const opened = new PerfBuffer(kernel, map);
    const { maxEntries } = await map.info();
    const cpus = Math.min(maxEntries, await kernel.possibleCpus());
    try {
      for (let cpu = 0; cpu < cpus; cpu++) await opened.#open(cpu, size);
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  async #open(cpu: number, size: number): Promise<void> {
    let fd: Fd;
    try {
      fd = await this.#kernel.perfBufferOpen(cpu, size);
    } catch (error) {
      // A CPU that is possible, but not there.
      if (error instanceof BpfError && error.errno === Errno.ENODEV) return;
      throw error;
    }
    this.#buffers.push({ cpu, fd });
    await this.map.setBytes(u32(cpu), u32(fd));
  }

  /** Takes what there is, CPU by CPU; of each CPU in the order in which it was sent. */
  async consume(): Promise<PerfSample[]> {
    const samples: PerfSample[] = [];
    for (const { cpu, fd } of this.#buffers) {
      for (const record of await this.#kernel.perfBufferConsume(fd)) samples.push({ ...record, cpu });
    }
    return samples;
  }

  /** Samples as they come, until the loop is left or `signal` is aborted. */
  records(signal?: AbortSignal): AsyncGenerator<PerfSample, void, undefined> {
    const fds = this.#buffers.map(({ fd }) => fd);
    return follow(this.#kernel, fds, () => this.consume(), signal);
  }

  [Symbol.asyncIterator](): AsyncGenerator<PerfSample, void, undefined> {
    return this.records();
  }

  /** Takes the buffers out of the map and gives them back; once is enough. */
  async close(): Promise<void> {
    const buffers = this.#buffers;
    this.#buffers = [];
    for (const { cpu, fd } of buffers) {
      await this.map.deleteBytes(u32(cpu));
      await this.#kernel.close(fd);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
