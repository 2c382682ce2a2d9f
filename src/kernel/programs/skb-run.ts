// BPF_PROG_TEST_RUN for programs that see socket buffers (Linux: bpf_prog_test_run_skb).

import type { ProgTestRunAttr, ProgTestRunResult } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { MapType, ProgType } from '../../bpf/types.js';
import { layout } from '../memory/memory.js';
import { checkRoom, execute, givenContext, refuse, repeats, resultOf, returnedContext } from './arguments.js';
import type { ProgramRun } from './run.js';

/** ETH_HLEN: a shorter packet is none. */
const ETHERNET_HEADER = 14;
/** EtherTypes, and the shortest headers. */
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** BPF_F_TEST_SKB_CHECKSUM_COMPLETE. */
const CHECKSUM_COMPLETE = 4;
/** GSO_LEGACY_MAX_SIZE, GSO_MAX_SEGS. */
const MAX_WIRE_LENGTH = 65536;
const MAX_SEGMENTS = 65535;
/** struct __sk_buff: where the fields are that a test run may set. */
const CONTEXT_SIZE = layout.SkbFrame_context;
const settable: readonly (readonly [offset: number, size: number])[] = [
  [layout.SkbFrame_mark, 4],
  [layout.SkbFrame_priority, 4],
  [layout.SkbFrame_ingressIfindex, 4],
  [layout.SkbFrame_ifindex, 4],
  [layout.SkbFrame_cb, 20],
  [layout.SkbFrame_tstamp, 8],
  [layout.SkbFrame_wireLen, 4],
  [layout.SkbFrame_gsoSegs, 4],
  [layout.SkbFrame_gsoSize, 4],
  [layout.SkbFrame_hwtstamp, 8],
];
/** Those that the packet takes over; `wire_len` is left as it is when it is not set. */
const taken = [
  [layout.SkbFrame_mark, 4],
  [layout.SkbFrame_priority, 4],
  [layout.SkbFrame_ingressIfindex, 4],
  [layout.SkbFrame_cb, 20],
  [layout.SkbFrame_tstamp, 8],
  [layout.SkbFrame_gsoSegs, 4],
  [layout.SkbFrame_gsoSize, 4],
  [layout.SkbFrame_hwtstamp, 8],
] as const;
/** Those that are given back. */
const returned = [...taken.filter(([offset]) => offset !== layout.SkbFrame_gsoSize)] as const;

const classifiers: ReadonlySet<ProgType> = new Set([ProgType.SchedCls, ProgType.SchedAct]);
/** Types of which the test run works out where the packet ends for the program. */
const seesPackets: ReadonlySet<ProgType> = new Set([
  ProgType.SchedCls,
  ProgType.SchedAct,
  ProgType.CgroupSkb,
  ProgType.LwtIn,
  ProgType.LwtOut,
  ProgType.LwtXmit,
]);

/** What programs see of a packet. */
export const View = {
  Nothing: layout.VIEW_NOTHING,
  Packets: layout.VIEW_PACKETS,
  Dissector: layout.VIEW_DISSECTOR,
} as const;

/** The runtime's part. */
export interface SkbRuntime {
  skb_frame_init(frame: number, buffer: number, length: number, link: number, pointers: number): void;
  skb_frame_end(frame: number): void;
}

/** Where packets arrive unless told otherwise. */
const LOOPBACK = 1;

export async function testRunSkb(run: ProgramRun, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
  const { memory, definition } = run;
  const { dataIn = new Uint8Array(0), flags = 0, cpu = 0, batchSize = 0 } = attr;
  if (flags & ~CHECKSUM_COMPLETE) refuse(`flags 0x${(flags >>> 0).toString(16)} are not known`);
  if (flags !== 0) refuse('BPF_F_TEST_SKB_CHECKSUM_COMPLETE is not available yet');
  if (cpu !== 0 || batchSize !== 0) refuse('cpu and batchSize are not for socket buffers');
  const length = dataIn.length;
  if (length < ETHERNET_HEADER)
    refuse(`a packet has at least ${ETHERNET_HEADER} bytes, this one has ${length}`);
  const count = repeats(attr);
  const context = givenContext(attr, CONTEXT_SIZE);
  const given = context && new DataView(context.buffer);
  const field = (offset: number) => given?.getUint32(offset, true) ?? 0;
  if (length > MOST_LINEAR) {
    refuse(`the packet has ${length} bytes, of which a page holds ${MOST_LINEAR}: Linux takes no more here`);
  }
  const ifindex = Math.max(field(layout.SkbFrame_ifindex), LOOPBACK);
  if (!run.hasDevice(ifindex)) {
    refuse(`there is no device ${ifindex}`, Errno.ENODEV);
  }
  checkHeader(dataIn);
  const link = classifiers.has(definition.type);
  if (context) checkContext(context, link ? length : length - ETHERNET_HEADER);
  await run.program.prepare(count);
  // From here on nothing waits: the frame belongs to this run alone.
  const { frame, buffer } = run.arena.placeSkb(dataIn);
  const runtime = memory.runtime as unknown as SkbRuntime;
  runtime.skb_frame_init(frame, buffer, length, Number(link), Number(seesPackets.has(definition.type)));
  memory.setU32(frame + layout.SkbFrame_ifindex, ifindex);
  clearCgroupStorage(run);
  if (context) takeOver(run, frame, context);
  try {
    const duration = execute(run, frame, count);
    const head = memory.u32(frame + layout.SkbFrame_head);
    const tail = memory.u32(frame + layout.SkbFrame_tail);
    // What the program could not see of the link layer is lost.
    const lead = link ? 0 : ETHERNET_HEADER;
    const size = tail - head + lead;
    checkRoom(size, attr);
    const dataOut = new Uint8Array(size);
    dataOut.set(memory.u8.subarray(head, tail), lead);
    if (context) giveBack(run, frame, context);
    return { retval: resultOf(run, frame), duration, dataOut, ctxOut: returnedContext(context, attr) };
  } finally {
    runtime.skb_frame_end(frame);
  }
}

/** What a program has for its cgroup begins anew with each test run. */
function clearCgroupStorage({ memory, maps }: ProgramRun): void {
  for (const { type, address } of maps) {
    if (type !== MapType.CgroupStorage && type !== MapType.PercpuCgroupStorage) continue;
    const values = memory.u32(address + layout.BpfMap_values);
    memory.u8.fill(0, values, values + memory.u32(address + layout.BpfMap_length));
  }
}

/** An IP packet has at least the whole header without options. */
function checkHeader(packet: Uint8Array): void {
  const protocol = ((packet[12] ?? 0) << 8) | (packet[13] ?? 0);
  const header = protocol === ETH_P_IP ? IPV4_HEADER : protocol === ETH_P_IPV6 ? IPV6_HEADER : 0;
  if (packet.length < ETHERNET_HEADER + header)
    refuse(`the IP header is cut short after ${packet.length} bytes`);
}

/** What fits into a page beside the head room and what Linux keeps behind it. */
const MOST_LINEAR = layout.PAGE - layout.SKB_HEADROOM - layout.XDP_TAILROOM;

/** What a given context may say (Linux: convert___skb_to_skb). */
function checkContext(context: Uint8Array, length: number): void {
  const allowed = new Uint8Array(CONTEXT_SIZE);
  for (const [offset, size] of settable) allowed.fill(1, offset, offset + size);
  const wrong = context.findIndex((byte, at) => byte !== 0 && !allowed[at]);
  if (wrong >= 0) refuse(`byte ${wrong} of the context cannot be set`);
  const view = new DataView(context.buffer);
  const wire = view.getUint32(layout.SkbFrame_wireLen, true);
  if (wire !== 0 && (wire < length || wire > MAX_WIRE_LENGTH)) {
    refuse(`wire_len ${wire} is not between ${length} and ${MAX_WIRE_LENGTH}`);
  }
  if (view.getUint32(layout.SkbFrame_gsoSegs, true) > MAX_SEGMENTS) {
    refuse(`gso_segs is at most ${MAX_SEGMENTS}`);
  }
}

function takeOver({ memory }: ProgramRun, frame: number, context: Uint8Array): void {
  for (const [offset, size] of taken) memory.write(frame + offset, context.subarray(offset, offset + size));
  const view = new DataView(context.buffer);
  // Linux keeps these two in 16 bits.
  for (const offset of [layout.SkbFrame_gsoSegs, layout.SkbFrame_gsoSize]) {
    memory.setU32(frame + offset, view.getUint32(offset, true) & 0xffff);
  }
  const wire = view.getUint32(layout.SkbFrame_wireLen, true);
  memory.setU32(frame + layout.SkbFrame_wireLen, wire || memory.u32(frame + layout.SkbFrame_len));
}

function giveBack({ memory }: ProgramRun, frame: number, context: Uint8Array): void {
  for (const [offset, size] of returned) context.set(memory.read(frame + offset, size), offset);
  const view = new DataView(context.buffer);
  for (const offset of [layout.SkbFrame_ifindex, layout.SkbFrame_wireLen]) {
    view.setUint32(offset, memory.u32(frame + offset), true);
  }
}
