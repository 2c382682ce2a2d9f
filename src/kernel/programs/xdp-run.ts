// BPF_PROG_TEST_RUN and batches for XDP programs. A packet lies in a page as a driver would have put it:
//
//     hardStart     data_meta  data          data_end               hardEnd
//     | headroom    | metadata | packet ...  | free                 | 320 bytes that Linux keeps
//     |<--------- 256 -------->|
//
// Larger packets (captures of offloaded traffic) get as many pages as they need, as Linux's generic XDP
// makes one linear buffer of them.

import type {
  PacketBatch,
  PacketBatchResult,
  ProgTestRunAttr,
  ProgTestRunResult,
  RunFault,
} from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import type { RunnableProgram } from '../engine.js';
import type { Fault } from '../memory/fault.js';
import { type KernelMemory, layout } from '../memory/memory.js';

const PAGE = 4096;
/** XDP_PACKET_HEADROOM. */
const HEADROOM = 256;
/** sizeof(struct skb_shared_info), aligned: the end of the page is not the packet's. */
const TAILROOM = 320;
/** ETH_HLEN: a shorter frame is no frame. */
const ETHERNET_HEADER = 14;
/** What fits beside struct xdp_frame (40 bytes) in the head room. */
const MAX_METADATA = HEADROOM - 40;
/** struct xdp_md. */
const CONTEXT_SIZE = 24;
/** Packets that are laid out at a time; together they fit a second-level cache. */
const BATCH = 64;
const MAX_PACKET = 1 << 18;

const COMMAND = 'BPF_PROG_TEST_RUN';

export interface XdpRun {
  readonly memory: KernelMemory;
  readonly program: RunnableProgram;
  /** Instructions that one run may take. */
  readonly budget: number;
  /** Nanoseconds of the host's clock. */
  now(): number;
  /** Sets what programs see as the time, or gives them the host's clock back. */
  setClock(time: ((frame: number) => number) | undefined): void;
  explain(fault: Fault): RunFault;
}

/** The frames and pages of a kernel, made on first use and kept. */
export class XdpArena {
  readonly #memory: KernelMemory;
  #frames = 0;
  #pages = 0;
  #pageBytes = 0;

  constructor(memory: KernelMemory) {
    this.#memory = memory;
  }

  /** Addresses of BATCH frames and of at least `bytes` bytes for packets. */
  reserve(bytes: number): { frames: number; pages: number } {
    this.#frames ||= this.#alloc(BATCH * layout.XdpFrame_size);
    if (this.#pageBytes < bytes) {
      if (this.#pages) this.#memory.free(this.#pages);
      this.#pageBytes = 0;
      this.#pages = this.#alloc(bytes);
      this.#pageBytes = bytes;
    }
    return { frames: this.#frames, pages: this.#pages };
  }

  #alloc(bytes: number): number {
    const at = this.#memory.alloc(bytes);
    if (at === undefined) throw new BpfError(COMMAND, Errno.ENOMEM, `no room for ${bytes} bytes of packets`);
    return at;
  }
}

/** Bytes of the buffer around a packet. */
export const bufferSize = (length: number): number => Math.ceil((HEADROOM + length + TAILROOM) / PAGE) * PAGE;

/** Lays a packet out at `at`; its first `meta` bytes are metadata, which take from the headroom. */
export function place(
  memory: KernelMemory,
  frame: number,
  at: number,
  packet: Uint8Array,
  meta: number,
): void {
  const { u8, view } = memory;
  const data = at + HEADROOM;
  u8.fill(0, at, data - meta);
  u8.set(packet, data - meta);
  const length = packet.length - meta;
  const set = (field: number, value: number) => view.setUint32(frame + field, value, true);
  set(layout.XdpFrame_data, data);
  set(layout.XdpFrame_dataEnd, data + length);
  set(layout.XdpFrame_dataMeta, data - meta);
  set(layout.XdpFrame_ingressIfindex, 1);
  set(layout.XdpFrame_rxQueueIndex, 0);
  set(layout.XdpFrame_egressIfindex, 0);
  set(layout.XdpFrame_hardStart, at);
  set(layout.XdpFrame_hardEnd, at + bufferSize(length) - TAILROOM);
}

/** BPF_PROG_TEST_RUN (Linux: bpf_prog_test_run_xdp). */
export async function testRun(
  run: XdpRun,
  arena: XdpArena,
  attr: ProgTestRunAttr,
): Promise<ProgTestRunResult> {
  const { memory } = run;
  const { dataIn = new Uint8Array(0), repeat = 1, flags = 0, dataSizeOut = 0 } = attr;
  if (flags !== 0) refuse(`flags 0x${(flags >>> 0).toString(16)}: none is supported for XDP yet`);
  if (!Number.isInteger(repeat) || repeat < 0 || repeat > 0xffffffff) refuse(`repeat is ${repeat}`);
  const context = attr.ctxIn?.length ? readContext(attr.ctxIn, dataIn.length) : undefined;
  const meta = context?.meta ?? 0;
  if (dataIn.length - meta < ETHERNET_HEADER) {
    refuse(`a packet has at least ${ETHERNET_HEADER} bytes, this one has ${dataIn.length - meta}`);
  }
  // Linux keeps what goes beyond in fragments.
  const room = Math.min(context?.linear ?? dataIn.length, PAGE - HEADROOM + meta - TAILROOM);
  if (dataIn.length > room) {
    refuse(`the packet has ${dataIn.length} bytes, ${room} in one piece: fragments are not available yet`);
  }
  const { frames: frame, pages } = arena.reserve(PAGE);
  memory.u8.fill(0, pages, pages + PAGE);
  place(memory, frame, pages, dataIn, meta);
  memory.setU32(frame + layout.XdpFrame_rxQueueIndex, context?.rxQueueIndex ?? 0);
  const count = Math.max(repeat, 1);
  await run.program.prepare(count);
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
  throw new BpfError(COMMAND, errno, detail);
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

/** Runs a program over many packets; a faulting run ends alone. */
export async function runBatch(run: XdpRun, arena: XdpArena, batch: PacketBatch): Promise<PacketBatchResult> {
  const { memory } = run;
  const { count, data, offsets, times } = batch;
  checkBatch(batch);
  await run.program.prepare(count);
  const retvals = new Uint32Array(count);
  const faults: PacketBatchResult['faults'] = [];
  const output = batch.wantData ? new Output(count) : undefined;
  let duration = 0;
  for (let first = 0; first < count; ) {
    let size = 0;
    let last = first;
    while (last < count && last - first < BATCH) {
      const room = bufferSize(lengthAt(offsets, last));
      if (last > first && size + room > BATCH * PAGE) break;
      size += room;
      last++;
    }
    const { frames, pages } = arena.reserve(Math.max(size, BATCH * PAGE));
    let at = pages;
    for (let i = first; i < last; i++) {
      const packet = data.subarray(offsets[i], offsets[i + 1]);
      place(memory, frames + (i - first) * layout.XdpFrame_size, at, packet, 0);
      at += bufferSize(packet.length);
    }
    if (times) {
      const base = first;
      run.setClock((frame) => times[base + frame] ?? 0);
    }
    const begin = run.now();
    for (let next = 0; next < last - first; ) {
      const { index, fault } = run.program.run(frames, next, last - first, layout.XdpFrame_size, run.budget);
      if (fault) faults.push({ index: first + index, fault: run.explain(fault) });
      next = index + 1;
    }
    duration += run.now() - begin;
    run.setClock(undefined);
    const { view } = memory;
    for (let i = first; i < last; i++) {
      const frame = frames + (i - first) * layout.XdpFrame_size;
      retvals[i] = view.getUint32(frame + layout.XdpFrame_result, true);
      if (!output) continue;
      const start = view.getUint32(frame + layout.XdpFrame_data, true);
      const end = view.getUint32(frame + layout.XdpFrame_dataEnd, true);
      output.add(memory.u8.subarray(start, end));
    }
    first = last;
  }
  return { retvals, duration, faults, ...(output ? output.finish() : {}) };
}

const lengthAt = (offsets: Uint32Array, i: number): number => (offsets[i + 1] ?? 0) - (offsets[i] ?? 0);

function checkBatch({ count, data, offsets, times }: PacketBatch): void {
  const refuse = (detail: string): never => {
    throw new BpfError(COMMAND, Errno.EINVAL, detail);
  };
  if (!Number.isInteger(count) || count < 0 || offsets.length < count + 1) {
    refuse(`${count} packets need ${count + 1} offsets, there are ${offsets.length}`);
  }
  if (times && times.length < count) refuse(`${count} packets need as many times, there are ${times.length}`);
  for (let i = 0; i < count; i++) {
    const length = lengthAt(offsets, i);
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
