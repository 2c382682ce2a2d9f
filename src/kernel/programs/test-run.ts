// BPF_PROG_TEST_RUN for XDP programs.

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import type { ProgramRun } from './run.js';

/** ETH_HLEN: a shorter frame is no frame. */
const ETHERNET_HEADER = 14;
/** What fits beside struct xdp_frame (40 bytes) in the head room. */
const MAX_METADATA = layout.XDP_HEADROOM - 40;
/** struct xdp_md. */
const CONTEXT_SIZE = 24;

/** BPF_PROG_TEST_RUN (Linux: bpf_prog_test_run_xdp). */
export async function testRun(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  const { memory, expectedAttachType: attach } = run;
  if (attach === AttachType.XdpDevmap || attach === AttachType.XdpCpumap) {
    refuse('programs that devmaps and cpumaps run cannot be test-run');
  }
  const { dataIn = new Uint8Array(0), repeat = 1, flags = 0, dataSizeOut = 0 } = attr;
  if (flags !== 0) refuse(`flags 0x${(flags >>> 0).toString(16)}: none is supported for XDP yet`);
  if (!Number.isInteger(repeat) || repeat < 0 || repeat > 0xffffffff) refuse(`repeat is ${repeat}`);
  const context = attr.ctxIn?.length ? readContext(attr.ctxIn, dataIn.length) : undefined;
  const meta = context?.meta ?? 0;
  if (dataIn.length - meta < ETHERNET_HEADER) {
    refuse(`a packet has at least ${ETHERNET_HEADER} bytes, this one has ${dataIn.length - meta}`);
  }
  // Linux keeps what goes beyond in fragments.
  const room = Math.min(
    context?.linear ?? dataIn.length,
    layout.PAGE - layout.XDP_HEADROOM + meta - layout.XDP_TAILROOM,
  );
  if (dataIn.length > room) {
    refuse(`the packet has ${dataIn.length} bytes, ${room} in one piece: fragments are not available yet`);
  }
  const count = Math.max(repeat, 1);
  await run.program.prepare(count);
  // From here on nothing waits: the frame belongs to this run alone.
  const frame = run.arena.place(dataIn, meta);
  memory.setU32(frame + layout.XdpFrame_rxQueueIndex, context?.rxQueueIndex ?? 0);
  const begin = run.now();
  const { fault } = run.program.run(frame, 0, count, 0, run.budget);
  const duration = Math.floor((run.now() - begin) / count);
  if (fault) {
    const { message, slot, instruction, source } = run.explain(fault);
    const line = source ? ` (${source.file}:${source.line}: ${source.text})` : '';
    refuse(`${message}; insn ${slot}: ${instruction}${line}`, Errno.EFAULT);
  }
  const field = (offset: number) => memory.u32(frame + offset);
  const start = field(layout.XdpFrame_dataMeta);
  const data = field(layout.XdpFrame_data);
  const end = field(layout.XdpFrame_dataEnd);
  const size = end - start;
  if (dataSizeOut !== 0 && dataSizeOut < size) {
    refuse(`the packet has ${size} bytes afterwards, there is room for ${dataSizeOut}`, Errno.ENOSPC);
  }
  return {
    retval: memory.u32(frame + layout.XdpFrame_result),
    duration,
    dataOut: memory.read(start, size),
    ctxOut: context ? writeContext(context.bytes, data - start, size, attr.ctxSizeOut) : new Uint8Array(0),
  };
}

function refuse(detail: string, errno: Errno = Errno.EINVAL): never {
  throw new BpfError('BPF_PROG_TEST_RUN', errno, detail);
}

interface GivenContext {
  /** struct xdp_md, as long as it is. */
  readonly bytes: Uint8Array;
  /** Bytes of metadata, which begin the data. */
  readonly meta: number;
  /** Bytes of data in one piece, the metadata with them. */
  readonly linear: number;
  readonly rxQueueIndex: number;
}

/** What a given context may say (Linux: bpf_prog_test_run_xdp, xdp_convert_md_to_buff). */
function readContext(ctx: Uint8Array, size: number): GivenContext {
  if (ctx.length > CONTEXT_SIZE && ctx.subarray(CONTEXT_SIZE).some((byte) => byte !== 0)) {
    refuse(`the context has ${CONTEXT_SIZE} bytes; what follows must be zero`, Errno.E2BIG);
  }
  const bytes = new Uint8Array(CONTEXT_SIZE);
  bytes.set(ctx.subarray(0, CONTEXT_SIZE));
  const view = new DataView(bytes.buffer);
  const [data, dataEnd, dataMeta, ingressIfindex, rxQueueIndex, egressIfindex] = [0, 4, 8, 12, 16, 20].map(
    (at) => view.getUint32(at, true),
  ) as [number, number, number, number, number, number];
  if (dataMeta !== 0) refuse('data_meta of the context must be 0: metadata begins the data');
  if (dataEnd > size) refuse(`data_end of the context is ${dataEnd}, but the data has ${size} bytes`);
  if (data > dataEnd) refuse(`data of the context is ${data}, beyond data_end ${dataEnd}`);
  if (data % 4 !== 0 || data > MAX_METADATA) {
    refuse(`metadata of ${data} bytes: a multiple of 4, at most ${MAX_METADATA}, is allowed`);
  }
  if (egressIfindex !== 0) refuse('egress_ifindex of the context must be 0');
  if (ingressIfindex === 0 && rxQueueIndex !== 0) refuse('rx_queue_index without ingress_ifindex');
  if (ingressIfindex > 1) refuse(`there is no device ${ingressIfindex}`, Errno.ENODEV);
  if (rxQueueIndex !== 0) refuse(`device ${ingressIfindex} has no queue ${rxQueueIndex}`);
  return { bytes, meta: data, linear: dataEnd, rxQueueIndex };
}

/** The context as it comes back: as it was given, but for where the packet is now. */
function writeContext(given: Uint8Array, data: number, dataEnd: number, room = CONTEXT_SIZE): Uint8Array {
  if (room === 0) return new Uint8Array(0);
  if (room < CONTEXT_SIZE) {
    refuse(`the context has ${CONTEXT_SIZE} bytes, there is room for ${room}`, Errno.ENOSPC);
  }
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data, true);
  view.setUint32(4, dataEnd, true);
  return bytes;
}
