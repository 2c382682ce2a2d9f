// What programs send to user space, compared run by run: the records of ring buffers and of perf event arrays. The
// comparison is their reader, as an application would be, so that they do not fill up.

import { BpfError } from '../bpf/errno.js';
import { MapType } from '../bpf/types.js';
import type { Value } from '../btf/value.js';
import { PerfBuffer, type PerfSample, RingBuffer } from '../loader/buffers.js';
import type { LoadedMap } from '../loader/map.js';
import type { Expected, NotCompared, RecordDifference, RunPlace, SideName } from './comparison.js';
import type { Side } from './contents.js';
import type { Findings } from './findings.js';

/** Takes the records that there are. */
type Reader = () => Promise<Value[]>;

/** A map that records are read from, in both kernels. */
interface Channel extends Record<SideName, Reader> {
  readonly map: string;
  /** Samples of perf events, which the kernel pads. */
  readonly padded: boolean;
  /** Records so far (the left kernel's). */
  count: number;
}

const same = (a: Value | undefined, b: Value | undefined): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array
    ? a.length === b.length && a.every((byte, i) => byte === b[i])
    : a === b;

/** Bytes that may follow a sample, so that the record is a multiple of 8. */
const MAX_PADDING = 7;

/** Whether two samples differ only where Linux pads: it leaves there what was sent before, and nobody says how much. */
function sameButPadding(a: Value | undefined, b: Value | undefined): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.length !== b.length) return false;
  const sure = a.length - MAX_PADDING;
  return same(a.subarray(0, sure), b.subarray(0, sure));
}

const padding = (map: string): Expected => ({
  what: 'map',
  map,
  reason: `map '${map}': the last ${MAX_PADDING} bytes of a sample may be padding, which Linux leaves as it finds it`,
});

export class Records implements AsyncDisposable {
  readonly channels: Channel[] = [];
  readonly notCompared: NotCompared[] = [];
  readonly #findings: Findings;
  readonly #buffers: PerfBuffer[] = [];

  private constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Opens a reader of every map that has records. One that a kernel refuses is listed as not compared. */
  static async open(left: Side, right: Side, findings: Findings): Promise<Records> {
    const records = new Records(findings);
    for (const [name, map] of left.collection.maps) {
      if (map.spec.type !== MapType.Ringbuf && map.spec.type !== MapType.PerfEventArray) continue;
      try {
        const readers = {
          left: await records.#reader(left, map),
          right: await records.#reader(right, right.collection.map(name)),
        };
        const padded = map.spec.type === MapType.PerfEventArray;
        records.channels.push({ map: name, padded, ...readers, count: 0 });
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        records.notCompared.push({ what: `records of map '${name}'`, reason: error.message });
      }
    }
    return records;
  }

  async #reader({ kernel, cpu }: Side, map: LoadedMap): Promise<Reader> {
    if (map.spec.type === MapType.Ringbuf) {
      const ring = new RingBuffer(kernel, map);
      // Whether it can be read shows now.
      await ring.consume();
      return () => ring.consume();
    }
    const buffer = await PerfBuffer.open(kernel, map);
    this.#buffers.push(buffer);
    return async () => (await buffer.consume()).map((sample) => sampleValue(sample, cpu));
  }

  /** Compares what a run has sent. */
  async compare(place: RunPlace): Promise<void> {
    for (const channel of this.channels) {
      const [left, right] = [await channel.left(), await channel.right()];
      for (let i = 0; i < Math.max(left.length, right.length); i++) {
        if (same(left[i], right[i])) continue;
        const at = { what: 'record', map: channel.map, ...place, record: i + 1 } as const;
        const difference: RecordDifference = { ...at, left: left[i], right: right[i] };
        if (!channel.padded || !sameButPadding(left[i], right[i])) this.#findings.add(difference);
        else this.#findings.addKnown(padding(channel.map), difference);
      }
      channel.count += left.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const buffer of this.#buffers) await buffer.close();
  }
}

/** The bytes of a sample that the CPU of the runs has sent; in words what else there is. */
function sampleValue(sample: PerfSample, cpu: number): Value {
  if ('lost' in sample) return `${sample.lost} lost`;
  return sample.cpu === cpu ? sample.data : { cpu: sample.cpu, data: sample.data };
}
