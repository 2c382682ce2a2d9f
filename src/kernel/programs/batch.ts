// Many packets in one command: laid out and run a cache's worth at a time.

import type { PacketBatch, PacketBatchResult } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { layout } from '../memory/memory.js';
import type { ProgramRun } from './run.js';

/** A larger packet is no packet (the largest that offloading makes has 64 KiB). */
const MAX_PACKET = 1 << 18;

/** Runs a program over many packets; a faulting run ends alone. */
export async function runBatch(run: ProgramRun, batch: PacketBatch): Promise<PacketBatchResult> {
  const { memory, arena } = run;
  const { count, data, offsets, times } = batch;
  checkBatch(batch);
  await run.program.prepare(count);
  const retvals = new Uint32Array(count);
  const faults: PacketBatchResult['faults'] = [];
  const output = batch.wantData ? new Output(count) : undefined;
  let duration = 0;
  for (let first = 0; first < count; ) {
    const { frames, placed } = arena.placeBatch(data, offsets, first, count);
    const base = first;
    const begin = run.now();
    run.withClock(times ? (frame) => times[base + frame] ?? 0 : undefined, () => {
      for (let next = 0; next < placed; ) {
        const { index, fault } = run.program.run(frames, next, placed, layout.XdpFrame_size, run.budget);
        if (fault) faults.push({ index: base + index, fault: run.explain(fault) });
        next = index + 1;
      }
    });
    duration += run.now() - begin;
    const { view } = memory;
    for (let i = 0; i < placed; i++) {
      const frame = frames + i * layout.XdpFrame_size;
      retvals[first + i] = view.getUint32(frame + layout.XdpFrame_result, true);
      if (!output) continue;
      const start = view.getUint32(frame + layout.XdpFrame_data, true);
      const end = view.getUint32(frame + layout.XdpFrame_dataEnd, true);
      output.add(memory.u8.subarray(start, end));
    }
    first += placed;
  }
  return { retvals, duration, faults, ...(output ? output.finish() : {}) };
}

function checkBatch({ count, data, offsets, times }: PacketBatch): void {
  const refuse = (detail: string): never => {
    throw new BpfError('BPF_PROG_TEST_RUN', Errno.EINVAL, detail);
  };
  if (!Number.isInteger(count) || count < 0 || offsets.length < count + 1) {
    refuse(`${count} packets need ${count + 1} offsets, there are ${offsets.length}`);
  }
  if (times && times.length < count) refuse(`${count} packets need as many times, there are ${times.length}`);
  for (let i = 0; i < count; i++) {
    const length = (offsets[i + 1] ?? 0) - (offsets[i] ?? 0);
    if (length < 0 || (offsets[i + 1] ?? 0) > data.length) refuse(`packet ${i} does not lie in the data`);
    if (length > MAX_PACKET) refuse(`packet ${i} has ${length} bytes, more than ${MAX_PACKET}`);
  }
}

/** Packets afterwards, one after the other. */
class Output {
  readonly #offsets: Uint32Array;
  #data = new Uint8Array(1 << 16);
  #count = 0;
  #length = 0;

  constructor(count: number) {
    this.#offsets = new Uint32Array(count + 1);
  }

  add(packet: Uint8Array): void {
    if (this.#length + packet.length > this.#data.length) {
      const larger = new Uint8Array(Math.max(this.#data.length * 2, this.#length + packet.length));
      larger.set(this.#data.subarray(0, this.#length));
      this.#data = larger;
    }
    this.#data.set(packet, this.#length);
    this.#length += packet.length;
    this.#offsets[++this.#count] = this.#length;
  }

  finish(): { data: Uint8Array; offsets: Uint32Array } {
    return { data: this.#data.subarray(0, this.#length), offsets: this.#offsets };
  }
}
