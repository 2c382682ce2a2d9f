// Batches of packets (PacketBatch), as both kernels take them and give them back.

import type { PacketBatch } from './bpf.js';
import { BpfError, Errno } from './errno.js';

/** Throws EINVAL for a batch whose packets do not lie in its data, are longer than `most` bytes, or lack times. */
export function checkBatch(
  { count, data, offsets, times }: PacketBatch,
  most = Number.POSITIVE_INFINITY,
): void {
  const refuse = (detail: string): never => {
    throw new BpfError('BPF_PROG_TEST_RUN', Errno.EINVAL, detail);
  };
  if (!Number.isInteger(count) || count < 0 || offsets.length < count + 1) {
    refuse(`${count} packets need ${count + 1} offsets, there are ${offsets.length}`);
  }
  if (times && times.length < count) refuse(`${count} packets need as many times, there are ${times.length}`);
  for (let i = 0; i < count; i++) {
    const [start = 0, end = 0] = [offsets[i], offsets[i + 1]];
    if (end < start || end > data.length) refuse(`packet ${i} does not lie in the data`);
    if (end - start > most) refuse(`packet ${i} has ${end - start} bytes, more than ${most}`);
  }
}

/** Packets as a program left them, one after the other. */
export class PacketOutput {
  readonly #offsets: Uint32Array;
  #data = new Uint8Array(1 << 16);
  #count = 0;
  #length = 0;

  constructor(count: number) {
    this.#offsets = new Uint32Array(count + 1);
  }

  /** Copies the next packet. */
  add(packet: Uint8Array): void {
    const length = this.#length + packet.length;
    if (length > this.#data.length) {
      const larger = new Uint8Array(Math.max(this.#data.length * 2, length));
      larger.set(this.#data.subarray(0, this.#length));
      this.#data = larger;
    }
    this.#data.set(packet, this.#length);
    this.#length = length;
    this.#offsets[++this.#count] = length;
  }

  finish(): { data: Uint8Array; offsets: Uint32Array } {
    return { data: this.#data.subarray(0, this.#length), offsets: this.#offsets };
  }
}
