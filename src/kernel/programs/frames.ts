// Frames: packets laid out in linear memory as a driver would have put them.
//
//     hardStart     data_meta  data          data_end               hardEnd
//     | headroom    | metadata | packet ...  | free                 | 320 bytes that Linux keeps
//     |<--------- 256 -------->|
//
// Larger packets (captures of offloaded traffic) get as many pages as they need, as Linux's generic XDP
// makes one linear buffer of them. The sizes are facts of the runtime (runtime/frames.ts).

import { BpfError, Errno } from '../../bpf/errno.js';
import { type KernelMemory, layout } from '../memory/memory.js';

/** Frames that are laid out at a time; their packets together fit a second-level cache. */
export const FRAMES = 64;
/** Bytes of buffers that a batch takes unless one packet alone is larger. */
const USUAL_BUFFERS = FRAMES * 4096;

/** The runtime's part. */
interface FrameRuntime {
  skb_buffer_size(length: number): number;
  frame_buffer_size(length: number): number;
  frame_init(frame: number, buffer: number, length: number, meta: number): void;
  frames_init(frames: number, buffers: number, packets: number, ends: number, count: number): void;
}

/** A piece of linear memory that grows with what is asked of it. */
class Area {
  readonly #memory: KernelMemory;
  #at = 0;
  #size = 0;

  constructor(memory: KernelMemory) {
    this.#memory = memory;
  }

  reserve(size: number): number {
    if (this.#size >= size) return this.#at;
    if (this.#at) this.#memory.free(this.#at);
    this.#size = 0;
    this.#at = 0;
    const at = this.#memory.alloc(size);
    if (at === undefined) {
      throw new BpfError('BPF_PROG_TEST_RUN', Errno.ENOMEM, `no room for ${size} bytes of packets`);
    }
    this.#at = at;
    this.#size = size;
    return at;
  }
}

/** The frames and buffers of a kernel, made on first use and kept. */
export class FrameArena {
  readonly #memory: KernelMemory;
  readonly #runtime: FrameRuntime;
  readonly #frames: Area;
  readonly #buffers: Area;
  readonly #packets: Area;

  constructor(memory: KernelMemory) {
    this.#memory = memory;
    this.#runtime = memory.runtime as unknown as FrameRuntime;
    this.#frames = new Area(memory);
    this.#buffers = new Area(memory);
    this.#packets = new Area(memory);
  }

  /** Lays out one packet in a cleared buffer; its first `meta` bytes are metadata. Address of the frame. */
  place(packet: Uint8Array, meta = 0): number {
    const length = packet.length - meta;
    const size = this.#runtime.frame_buffer_size(length);
    const frame = this.#frames.reserve(FRAMES * layout.XdpFrame_size);
    const buffer = this.#buffers.reserve(Math.max(size, USUAL_BUFFERS));
    this.#memory.u8.fill(0, buffer, buffer + size);
    this.#runtime.frame_init(frame, buffer, length, meta);
    this.#memory.write(this.#memory.u32(frame + layout.XdpFrame_dataMeta), packet);
    return frame;
  }

  /** Room for one frame of `size` bytes that has no packet. */
  placeContext(size: number): number {
    return this.#frames.reserve(Math.max(size, FRAMES * layout.XdpFrame_size));
  }

  /** Puts one packet into a cleared buffer for a socket buffer (runtime/skb.ts). Addresses of the room for its frame, and of the buffer. */
  placeSkb(packet: Uint8Array): { frame: number; buffer: number } {
    return { frame: this.#frames.reserve(FRAMES * layout.XdpFrame_size), buffer: this.placePacket(packet) };
  }

  /** The same without a frame; address of the buffer. */
  placePacket(packet: Uint8Array): number {
    const size = this.#runtime.skb_buffer_size(packet.length);
    const buffer = this.#buffers.reserve(Math.max(size, USUAL_BUFFERS));
    this.#memory.u8.fill(0, buffer, buffer + size);
    this.#memory.write(buffer + layout.SKB_HEADROOM, packet);
    return buffer;
  }

  /**
   * Lays out packets `first` and following of a batch, as many as go well together (at least one, at most FRAMES and
   * what is left of `count`). Address of the first frame, and the number of frames.
   */
  placeBatch(
    data: Uint8Array,
    offsets: Uint32Array,
    first: number,
    count: number,
  ): { frames: number; placed: number } {
    let size = 0;
    let last = first;
    while (last < count && last - first < FRAMES) {
      const room = this.#runtime.frame_buffer_size(between(offsets, last));
      if (last > first && size + room > USUAL_BUFFERS) break;
      size += room;
      last++;
    }
    const placed = last - first;
    const from = offsets[first] ?? 0;
    const bytes = (offsets[last] ?? 0) - from;
    const frames = this.#frames.reserve(FRAMES * layout.XdpFrame_size);
    const buffers = this.#buffers.reserve(Math.max(size, USUAL_BUFFERS));
    const ends = this.#packets.reserve(Math.max(bytes, USUAL_BUFFERS) + FRAMES * 4);
    const packets = ends + FRAMES * 4;
    const { u8, view } = this.#memory;
    for (let i = 0; i < placed; i++) view.setUint32(ends + i * 4, (offsets[first + i + 1] ?? 0) - from, true);
    u8.set(data.subarray(from, from + bytes), packets);
    this.#runtime.frames_init(frames, buffers, packets, ends, placed);
    return { frames, placed };
  }
}

/** Bytes of packet `i`. */
const between = (offsets: Uint32Array, i: number): number => (offsets[i + 1] ?? 0) - (offsets[i] ?? 0);
