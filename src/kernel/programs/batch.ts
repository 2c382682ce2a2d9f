// Many packets in one command: laid out and run a cache's worth at a time.

import { checkBatch, PacketOutput } from '../../bpf/batch.js';
import type { PacketBatch, PacketBatchResult, RunFault } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { ProgType } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import { FaultedRun } from './arguments.js';
import { testRun } from './index.js';
import type { ProgramRun } from './run.js';

/** A larger packet is no packet (the largest that offloading makes has 64 KiB). */
const MAX_PACKET = 1 << 18;

/** The same for programs that see a packet in another form: a test run for each. What is no packet to them is not run. */
async function runOneByOne(run: ProgramRun, batch: PacketBatch): Promise<PacketBatchResult> {
  const { count, data, offsets, times } = batch;
  await run.program.prepare(count);
  const retvals = new Uint32Array(count);
  const faults: PacketBatchResult['faults'] = [];
  const output = batch.wantData ? new PacketOutput(count) : undefined;
  const begin = run.now();
  for (let i = 0; i < count; i++) {
    const dataIn = data.subarray(offsets[i], offsets[i + 1]);
    const clocked: ProgramRun = {
      ...run,
      program: {
        codeSize: run.program.codeSize,
        prepare: async () => {},
        dispose: () => {},
        run: (...args) =>
          run.withClock(times ? () => times[i] ?? 0 : undefined, () => run.program.run(...args)),
      },
    };
    try {
      const { retval, dataOut } = await testRun(clocked, { dataIn });
      retvals[i] = retval;
      output?.add(dataOut);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno === Errno.ENOTSUPP) throw error;
      faults.push({ index: i, fault: error instanceof FaultedRun ? error.runFault : notRun(error) });
      output?.add(dataIn);
    }
  }
  return { retvals, duration: run.now() - begin, faults, ...(output ? output.finish() : {}) };
}

const notRun = ({ message }: BpfError): RunFault => ({
  kind: 'not-run',
  message,
  slot: 0,
  progId: 0,
  progName: '',
  instruction: '',
});

/** Runs a program over many packets; a faulting run ends alone. */
export async function runBatch(run: ProgramRun, batch: PacketBatch): Promise<PacketBatchResult> {
  const { memory, arena } = run;
  const { count, data, offsets, times } = batch;
  checkBatch(batch, MAX_PACKET);
  if (run.definition.type !== ProgType.Xdp) return runOneByOne(run, batch);
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
