// BPF_PROG_TEST_RUN of the real kernel, once or for every packet of a batch.

import { checkBatch, PacketOutput } from '../bpf/batch.js';
import type {
  Fd,
  PacketBatch,
  PacketBatchResult,
  ProgInfo,
  ProgTestRunAttr,
  ProgTestRunResult,
  RunFault,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { ProgType } from '../bpf/types.js';
import { attributes } from './attributes.js';
import type { Native } from './native.js';
import { bytesOf } from './session.js';
import { Struct } from './struct.js';

const COMMAND = 'BPF_PROG_TEST_RUN';

/**
 * How much a program may add to a packet, generously: head room and tail room of one page, or a whole second one for
 * socket buffers. The kernel copies what there is and says when it was more.
 */
const GROWTH = 1 << 16;

/** More than any context has; the kernel says how much it wrote. */
const CONTEXT_ROOM = 256;

/** Where a context comes back: in a buffer of its own, in place of the given one, or not at all. */
const contextBack: Readonly<Partial<Record<ProgType, 'in place' | 'never'>>> = {
  [ProgType.Syscall]: 'in place',
  [ProgType.RawTracepoint]: 'never',
  [ProgType.RawTracepointWritable]: 'never',
  [ProgType.Netfilter]: 'never',
};

/** struct xdp_md, in words of 4 bytes: where `data` and `data_end` are in it, and how many there are. */
const XDP_MD_DATA = 0;
const XDP_MD_DATA_END = 1;
const XDP_MD_WORDS = 6;

export interface TestProgram {
  readonly fd: Fd;
  readonly type: ProgType;
}

/** One test run. What is not asked for stays zero, as several program types demand. */
export function testRun(native: Native, { fd, type }: TestProgram, attr: ProgTestRunAttr): ProgTestRunResult {
  const { dataIn, dataSizeOut = 0, repeat, flags, cpu, batchSize } = attr;
  const back = contextBack[type] ?? 'apart';
  // The kernel writes into what it is given; the caller's bytes stay as they are.
  const ctxIn = attr.ctxIn?.length ? attr.ctxIn.slice() : undefined;
  const dataOut = dataIn && new Uint8Array(dataSizeOut || dataIn.length + GROWTH);
  const ctxOut =
    ctxIn && back === 'apart'
      ? new Uint8Array(attr.ctxSizeOut ?? Math.max(ctxIn.length, CONTEXT_ROOM))
      : undefined;
  const test = new Struct(attributes.testRun, native.address, {
    'test.prog_fd': fd,
    'test.data_in': dataIn,
    'test.data_size_in': dataIn?.length,
    'test.data_out': dataOut,
    'test.data_size_out': dataOut?.length,
    'test.ctx_in': ctxIn,
    'test.ctx_size_in': ctxIn?.length,
    'test.ctx_out': ctxOut,
    'test.ctx_size_out': ctxOut?.length,
    'test.repeat': repeat,
    'test.flags': flags,
    'test.cpu': cpu,
    'test.batch_size': batchSize,
  });
  const result = native.bpf(COMMAND, test.bytes);
  if (result < 0)
    throw new BpfError(COMMAND, -result, explain(-result, test.u32('test.data_size_out'), dataOut));
  return {
    retval: test.u32('test.retval'),
    duration: test.u32('test.duration'),
    dataOut: dataOut?.slice(0, test.u32('test.data_size_out')) ?? new Uint8Array(),
    ctxOut:
      ctxOut?.slice(0, test.u32('test.ctx_size_out')) ??
      (back === 'in place' && ctxIn ? ctxIn : new Uint8Array()),
  };
}

function explain(errno: number, size: number, room: Uint8Array | undefined): string {
  if (errno !== Errno.ENOSPC || !room || size <= room.length) return '';
  return `the packet has ${size} bytes afterwards, there is room for ${room.length}`;
}

/**
 * One test run for each packet. A packet that the kernel does not take (for XDP, shorter than an Ethernet header or
 * longer than a page has room for) is listed as not run, and the others run all the same.
 */
export async function runBatch(
  native: Native,
  program: TestProgram & { info(): Promise<ProgInfo> },
  batch: PacketBatch,
): Promise<PacketBatchResult> {
  const { count, data, offsets } = batch;
  checkBatch(batch);
  const retvals = new Uint32Array(count);
  const faults: PacketBatchResult['faults'] = [];
  const out = new Uint8Array((batch.wantData ? longest(batch) : 0) + GROWTH);
  const output = batch.wantData ? new PacketOutput(count) : undefined;
  const base = native.address(data);
  const test = new Struct(attributes.testRun, native.address, {
    'test.prog_fd': program.fd,
    'test.data_in': data,
    'test.repeat': 1,
  });
  if (output) test.set({ 'test.data_out': out });
  // What Linux gives back begins with the metadata; how much that is, only struct xdp_md says.
  let context = output && program.type === ProgType.Xdp ? new Uint32Array(XDP_MD_WORDS) : undefined;
  if (context) test.set({ 'test.ctx_in': bytesOf(context), 'test.ctx_out': bytesOf(context) });
  let duration = 0;
  for (let i = 0; i < count; i++) {
    const start = offsets[i] ?? 0;
    const size = (offsets[i + 1] ?? 0) - start;
    test.movePointer('test.data_in', base, start);
    test.set({
      'test.data_size_in': size,
      'test.data_size_out': output ? out.length : 0,
      'test.retval': 0,
      'test.duration': 0,
    });
    if (context) {
      context.fill(0);
      context[XDP_MD_DATA_END] = size;
      test.set({ 'test.ctx_size_in': context.byteLength, 'test.ctx_size_out': context.byteLength });
    }
    let result = native.bpf(COMMAND, test.bytes);
    if (result === -Errno.EINVAL && context) {
      // Before 5.15 there is no context for XDP, and no metadata either.
      test.set({ 'test.ctx_size_in': 0, 'test.ctx_size_out': 0, 'test.data_size_out': out.length });
      result = native.bpf(COMMAND, test.bytes);
      if (result >= 0) context = undefined;
    }
    if (result < 0) {
      if (result !== -Errno.EINVAL) throw new BpfError(COMMAND, -result, `packet ${i}, ${size} bytes`);
      const { id, name } = await program.info();
      faults.push({ index: i, fault: notRun(size, id, name) });
      output?.add(data.subarray(start, start + size));
      continue;
    }
    retvals[i] = test.u32('test.retval');
    duration += test.u32('test.duration');
    output?.add(out.subarray(context?.[XDP_MD_DATA] ?? 0, test.u32('test.data_size_out')));
  }
  return { retvals, duration, faults, ...(output ? output.finish() : {}) };
}

const notRun = (size: number, progId: number, progName: string): RunFault => ({
  kind: 'not-run',
  message: `Linux does not test-run a packet of ${size} bytes`,
  slot: 0,
  progId,
  progName,
  instruction: '',
});

const longest = ({ count, offsets }: PacketBatch): number => {
  let most = 0;
  for (let i = 0; i < count; i++) most = Math.max(most, (offsets[i + 1] ?? 0) - (offsets[i] ?? 0));
  return most;
};
