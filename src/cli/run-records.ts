// What the program sends through ring buffers and perf events during a run, taken after each block of packets, so that
// a buffer has to be large enough for one block only.

import { BpfError } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import type { PerfBuffer, RingBuffer } from '../loader/buffers.js';
import type { Collection } from '../loader/collection.js';

/** What came through one map. */
export interface Received {
  /** Records in all; `kept` are the first of them. */
  count: number;
  readonly kept: Uint8Array[];
  /** Samples that found no room (perf events only). */
  lost: number;
}

export class Records implements AsyncDisposable {
  readonly #limit: number;
  readonly #rings: RingBuffer[] = [];
  readonly #perfBuffers: PerfBuffer[] = [];
  readonly #received = new Map<string, Received>();

  /** Of each map the first `limit` records are kept. */
  private constructor(limit: number) {
    this.#limit = limit;
  }

  /** Listens to every ring buffer and perf event array of a collection. */
  static async open(collection: Collection, limit: number): Promise<Records> {
    const records = new Records(limit);
    for (const { name, spec } of collection.maps.values()) {
      if (spec.type === MapType.Ringbuf) records.#rings.push(collection.ringbuf(name));
      else if (spec.type === MapType.PerfEventArray) await records.#openPerfBuffer(collection, name);
      else continue;
      records.#received.set(name, { count: 0, kept: [], lost: 0 });
    }
    return records;
  }

  /** A kernel that gives no perf events runs the program all the same: it learns that nobody listens. */
  async #openPerfBuffer(collection: Collection, name: string): Promise<void> {
    try {
      this.#perfBuffers.push(await collection.perfBuffer(name));
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
    }
  }

  /** Takes what has come. */
  async take(): Promise<void> {
    for (const ring of this.#rings) {
      for (const record of await ring.consume()) this.#add(ring.map.name, record);
    }
    for (const buffer of this.#perfBuffers) {
      const { name } = buffer.map;
      for (const sample of await buffer.consume()) {
        if ('data' in sample) this.#add(name, sample.data);
        else this.#of(name).lost += sample.lost;
      }
    }
  }

  #of(map: string): Received {
    const received = this.#received.get(map);
    if (!received) throw new Error(`nobody listens to ${map}`);
    return received;
  }

  #add(map: string, record: Uint8Array): void {
    const received = this.#of(map);
    received.count++;
    if (received.kept.length < this.#limit) received.kept.push(record);
  }

  /** What came through a map; undefined for one that nothing comes through. */
  get(map: string): Received | undefined {
    return this.#received.get(map);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const buffer of this.#perfBuffers.splice(0)) await buffer.close();
  }
}
