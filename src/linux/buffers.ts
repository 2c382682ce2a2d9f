// Ring buffers and perf buffers of the real kernel, in memory that it shares (mmap(2)).
//
//   ring buffer   page 0: consumer position (u64) | page 1: producer position | data | the same data again
//   perf buffer   page 0: struct perf_event_mmap_page, with data_head and data_tail | data
//
// Positions only grow. Whoever writes data does so before it moves its position, and reads the other's position first.

import type { BufferCommands, Fd, PerfBufferOptions, PerfRecord } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { MapType, mapTypeName } from '../bpf/types.js';
import { infos, perf } from './attributes.js';
import type { Mapping } from './native.js';
import { check, type Session } from './session.js';

/** A record of a ring buffer: u32 length with two flags, u32 page offset, data, padded to 8. */
const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const LENGTH = 0x3fff_ffff;
const HEADER = 8;

/** Offsets in struct perf_event_mmap_page, in units of 8 bytes. */
const DATA_HEAD = 1024 / 8;
const DATA_TAIL = 1032 / 8;

const PERF_ATTR_SIZE = 112;
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10n;
const PERF_SAMPLE_TIME = 1n << 2n;
const PERF_SAMPLE_RAW = 1n << 10n;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const PERF_EVENT_IOC_ENABLE = 0x2400;

const POLLIN = 1;
/** struct pollfd: int fd, short events, short revents. */
const POLLFD = 8;

const taken = (length: number): number => Math.ceil((length + HEADER) / 8) * 8;

/** A ring buffer in shared memory. */
interface Ring {
  readonly type: MapType;
  readonly size: number;
  readonly mappings: readonly Mapping[];
  readonly consumer: BigInt64Array;
  readonly producer: BigInt64Array;
  readonly data: DataView;
}

interface PerfBuffer {
  readonly mapping: Mapping;
  readonly positions: BigInt64Array;
  readonly data: Uint8Array;
  /** Samples begin with their time. */
  readonly times: boolean;
}

export class LinuxBuffers implements BufferCommands {
  readonly #session: Session;
  readonly #rings = new Map<Fd, Ring>();
  readonly #perfBuffers = new Map<Fd, PerfBuffer>();

  constructor(session: Session) {
    this.#session = session;
    session.onClose((fd) => {
      for (const mapping of this.#rings.get(fd)?.mappings ?? []) mapping.unmap();
      this.#perfBuffers.get(fd)?.mapping.unmap();
      this.#rings.delete(fd);
      this.#perfBuffers.delete(fd);
    });
  }

  #map(fd: Fd, offset: number, length: number, writable: boolean): Mapping {
    const mapping = this.#session.native.mmap(fd, offset, length, writable);
    if (typeof mapping === 'number') throw new BpfError('mmap', -mapping, `descriptor ${fd}`);
    return mapping;
  }

  #ring(command: string, fd: Fd, wanted: MapType): Ring {
    this.#session.own(command, fd);
    const ring = this.#rings.get(fd) ?? this.#openRing(fd);
    if (ring.type !== wanted) {
      throw new BpfError(
        command,
        Errno.EINVAL,
        `it is a ${mapTypeName(ring.type)} map, not a ${mapTypeName(wanted)}`,
      );
    }
    return ring;
  }

  #openRing(fd: Fd): Ring {
    const info = this.#session.info(infos.bpf_map_info, fd);
    const type = info.u32('type') as MapType;
    const size = info.u32('max_entries');
    const empty = new ArrayBuffer(8);
    if (type !== MapType.Ringbuf && type !== MapType.UserRingbuf) {
      const [positions, data] = [new BigInt64Array(empty), new DataView(empty)];
      return { type, size, mappings: [], consumer: positions, producer: positions, data };
    }
    // Each side may write its own position; the producer also the data.
    const { pageSize } = this.#session.native;
    const produces = type === MapType.UserRingbuf;
    const consumer = this.#map(fd, 0, pageSize, !produces);
    const producer = this.#map(fd, pageSize, pageSize + 2 * size, produces);
    const ring: Ring = {
      type,
      size,
      mappings: [consumer, producer],
      consumer: new BigInt64Array(consumer.bytes, 0, 1),
      producer: new BigInt64Array(producer.bytes, 0, 1),
      data: new DataView(producer.bytes, pageSize, 2 * size),
    };
    this.#rings.set(fd, ring);
    return ring;
  }

  async ringbufConsume(map: Fd): Promise<Uint8Array[]> {
    const { consumer, producer, data, size } = this.#ring('ringbuf', map, MapType.Ringbuf);
    const records: Uint8Array[] = [];
    let position = Atomics.load(consumer, 0);
    while (position < Atomics.load(producer, 0)) {
      const at = Number(position & BigInt(size - 1));
      const header = data.getUint32(at, true);
      if (header & BUSY) break;
      const length = header & LENGTH;
      if (!(header & DISCARD))
        records.push(new Uint8Array(data.buffer, data.byteOffset + at + HEADER, length).slice());
      position += BigInt(taken(length));
      Atomics.store(consumer, 0, position);
    }
    return records;
  }

  async ringbufProduce(map: Fd, record: Uint8Array): Promise<void> {
    const { consumer, producer, data, size } = this.#ring('user_ringbuf', map, MapType.UserRingbuf);
    const length = taken(record.length);
    if (record.length > LENGTH || length > size) {
      throw new BpfError('user_ringbuf', Errno.E2BIG, `${record.length} bytes never fit into ${size}`);
    }
    const position = Atomics.load(producer, 0);
    if (length > size - Number(position - Atomics.load(consumer, 0))) {
      throw new BpfError('user_ringbuf', Errno.ENOSPC);
    }
    const at = Number(position & BigInt(size - 1));
    data.setUint32(at, record.length, true);
    data.setUint32(at + 4, 0, true);
    new Uint8Array(data.buffer, data.byteOffset).set(record, at + HEADER);
    Atomics.store(producer, 0, position + BigInt(length));
  }

  async perfBufferOpen(cpu: number, size: number, { times = false }: PerfBufferOptions = {}): Promise<Fd> {
    const command = 'perf_event_open';
    const { native } = this.#session;
    const event = this.#session.struct(perf.perf_event_attr, {
      type: PERF_TYPE_SOFTWARE,
      size: PERF_ATTR_SIZE,
      config: PERF_COUNT_SW_BPF_OUTPUT,
      sample_period: 1n,
      sample_type: times ? PERF_SAMPLE_RAW | PERF_SAMPLE_TIME : PERF_SAMPLE_RAW,
      wakeup_events: 1,
    });
    if (size < native.pageSize)
      throw new BpfError(command, Errno.EINVAL, `a buffer of ${size} bytes is no page`);
    const fd = this.#session.adopt(check(command, native.perfEventOpen(event.bytes, -1, cpu), `CPU ${cpu}`));
    try {
      const mapping = this.#map(fd, 0, native.pageSize + size, true);
      this.#perfBuffers.set(fd, {
        mapping,
        positions: new BigInt64Array(mapping.bytes, 0, DATA_TAIL + 1),
        data: new Uint8Array(mapping.bytes, native.pageSize, size),
        times,
      });
      check(command, native.ioctl(fd, PERF_EVENT_IOC_ENABLE, 0));
    } catch (error) {
      this.#session.close(fd);
      throw error;
    }
    return fd;
  }

  async perfBufferConsume(buffer: Fd): Promise<PerfRecord[]> {
    const found = this.#perfBuffers.get(this.#session.own('perf_event', buffer));
    if (!found) throw new BpfError('perf_event', Errno.EINVAL, `descriptor ${buffer} is no perf buffer`);
    const { positions, data, times } = found;
    const head = Atomics.load(positions, DATA_HEAD);
    let tail = Atomics.load(positions, DATA_TAIL);
    const records: PerfRecord[] = [];
    while (tail < head) {
      const at = Number(tail & BigInt(data.length - 1));
      // Headers do not reach over the end, since records are multiples of 8; all else may.
      const length = new DataView(data.buffer, data.byteOffset + at).getUint16(6, true);
      const record = new Uint8Array(length);
      const first = data.subarray(at, at + length);
      record.set(first);
      record.set(data.subarray(0, length - first.length), first.length);
      const view = new DataView(record.buffer);
      const type = view.getUint32(0, true);
      if (type === PERF_RECORD_SAMPLE) {
        const at = times ? 16 : 8;
        const data = record.subarray(at + 4, at + 4 + view.getUint32(at, true));
        records.push(times ? { data, time: view.getBigUint64(8, true) } : { data });
      } else if (type === PERF_RECORD_LOST) {
        const lost = Number(view.getBigUint64(16, true));
        records.push(times ? { lost, id: view.getBigUint64(8, true) } : { lost });
      }
      tail += BigInt(length);
    }
    Atomics.store(positions, DATA_TAIL, tail);
    return records;
  }

  async poll(fds: readonly Fd[], timeout: number): Promise<Fd[]> {
    const bytes = new Uint8Array(fds.length * POLLFD);
    const view = new DataView(bytes.buffer);
    for (const [i, fd] of fds.entries()) {
      view.setInt32(i * POLLFD, this.#session.own('poll', fd), true);
      view.setInt16(i * POLLFD + 4, POLLIN, true);
    }
    const result = await this.#session.native.poll(bytes, fds.length, timeout);
    if (result !== -Errno.EINTR) check('poll', result);
    return fds.filter((_, i) => view.getInt16(i * POLLFD + 6, true) & POLLIN);
  }
}
