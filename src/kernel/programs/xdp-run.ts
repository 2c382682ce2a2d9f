// BPF_PROG_TEST_RUN for XDP programs.

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { AttachType } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import { checkRoom, execute, givenContext, refuse, repeats, resultOf, returnedContext } from './arguments.js';
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
  const { dataIn = new Uint8Array(0), flags = 0 } = attr;
  if (flags !== 0) refuse(`flags 0x${(flags >>> 0).toString(16)}: none is supported for XDP yet`);
  const count = repeats(attr);
  const given = givenContext(attr, CONTEXT_SIZE);
  const context = given && readContext(given, dataIn.length);
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
  await run.program.prepare(count);
  // From here on nothing waits: the frame belongs to this run alone.
  const frame = run.arena.place(dataIn, meta);
  memory.setU32(frame + layout.XdpFrame_rxQueueIndex, context?.rxQueueIndex ?? 0);
  const duration = execute(run, frame, count);
  const field = (offset: number) => memory.u32(frame + offset);
  const start = field(layout.XdpFrame_dataMeta);
  const data = field(layout.XdpFrame_data);
  const end = field(layout.XdpFrame_dataEnd);
  const size = end - start;
  checkRoom(size, attr);
  return {
    retval: resultOf(run, frame),
    duration,
    dataOut: memory.read(start, size),
    ctxOut: context ? returnedContext(updated(context.bytes, data - start, size), attr) : new Uint8Array(0),
  };
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
function readContext(bytes: Uint8Array, size: number): GivenContext {
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
function updated(given: Uint8Array, data: number, dataEnd: number): Uint8Array {
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data, true);
  view.setUint32(4, dataEnd, true);
  return bytes;
}
