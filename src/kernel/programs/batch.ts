// Many packets in one command: laid out and run a cache's worth at a time.

import { checkBatch, PacketOutput } from '../../bpf/batch.js';
import type { PacketBatch, PacketBatchResult } from '../../bpf/bpf.js';
import { layout } from '../memory/memory.js';
import type { ProgramRun } from './run.js';

/** A larger packet is no packet (the largest that offloading makes has 64 KiB). */
const MAX_PACKET = 1 << 18;

/** Runs a program over many packets; a faulting run ends alone. */
export async function runBatch(run: ProgramRun, batch: PacketBatch): Promise<PacketBatchResult> {
  const { memory, arena } = run;
  const { count, data, offsets, times } = batch;
  checkBatch(batch, MAX_PACKET);
  await run.program.prepare(count);
  const retvals = new Uint32Array(count);
  const faults: PacketBatchResult['faults'] = [];
  const output = batch.wantData ? new PacketOutput(count) : undefined;
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
