// Socket buffers in flight: a packet in one piece, in a buffer that helpers may replace by a larger one.
//
//   hardStart        head, data          tail             hardEnd
//   | headroom 64    | packet            | tailroom       |
//
// `head` and `tail` are the packet; `data` and `dataEnd` are what the program's type sees of it. Headers are known by their
// distance from hardStart, so that they move with the buffer.

import { Cpu, POINTER_BASE, Program, SKB_HEADROOM, SkbFrame, Socket } from './layout';

/** Room behind a packet. */
const SKB_TAILROOM: u32 = 320;
export const NOT_SET: u32 = 0xffffffff;
export const CHECKSUM_NONE: u32 = 0;
export const CHECKSUM_UNNECESSARY: u32 = 1;
export const CHECKSUM_COMPLETE: u32 = 2;

const ETH_HLEN: u32 = 14;
const ETH_P_802_3_MIN: u16 = 0x600;
const ETH_P_802_3: u16 = 1;
const ETH_P_802_2: u16 = 4;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const TCP_CLOSE: u32 = 7;

const PACKET_HOST: u32 = 0;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

// From packed negative offsets of legacy loads: the network header, and the link layer's.
const SKF_NET_OFF: i32 = -0x100000;
const SKF_LL_OFF: i32 = -0x200000;

/** Whether the running program sees socket buffers. */
export function isSkb(cpu: usize): bool {
  const program = changetype<Program>(changetype<Cpu>(cpu).program);
  return program.resultField == offsetof<SkbFrame>('result');
}

/** Bytes of the buffer around a packet. */
export function skb_buffer_size(length: u32): u32 {
  return (SKB_HEADROOM + length + SKB_TAILROOM + 63) & ~63;
}

/** What the context says of where the packet is, after it has moved. */
export function show(frame: SkbFrame): void {
  frame.len = frame.tail - frame.head;
  frame.data = frame.head;
  frame.dataMeta = frame.head;
  frame.dataEnd = frame.pointers ? frame.tail : 0;
}

/** The same, and the running program's window with it. */
export function moved(cpu: Cpu, frame: SkbFrame): void {
  show(frame);
  cpu.packetStart = frame.head;
  cpu.packetEnd = frame.tail;
}

/** How a device sees the packet that begins with an Ethernet header at `at` (eth_type_trans). The loopback's address, and
 * that of its broadcasts, is 0. */
function packetType(at: usize): u32 {
  if (!load<u32>(at) && !load<u16>(at, 4)) return PACKET_HOST;
  return load<u8>(at) & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

function protocolOf(at: usize, length: u32): u16 {
  const proto = load<u16>(at, 12);
  if (bswap(proto) >= ETH_P_802_3_MIN) return proto;
  return bswap(length >= ETH_HLEN + 2 && load<u16>(at, ETH_HLEN) == 0xffff ? ETH_P_802_3 : ETH_P_802_2);
}

/**
 * Makes a frame of the packet of `length` bytes that lies SKB_HEADROOM into the cleared buffer, as BPF_PROG_TEST_RUN does:
 * it arrived on the loopback device, and belongs to a socket that is not connected. `link`: the program sees the Ethernet
 * header. `pointers`: it sees packet pointers.
 */
export function skb_frame_init(at: usize, buffer: usize, length: u32, link: u32, pointers: u32): void {
  memory.fill(at, 0, offsetof<SkbFrame>() + offsetof<Socket>());
  const frame = changetype<SkbFrame>(at);
  const packet = (buffer as u32) + SKB_HEADROOM;
  frame.hardStart = buffer as u32;
  frame.hardEnd = (buffer as u32) + skb_buffer_size(length);
  frame.macHeader = SKB_HEADROOM;
  frame.networkHeader = SKB_HEADROOM + ETH_HLEN;
  frame.transportHeader = NOT_SET;
  frame.head = link ? packet : packet + ETH_HLEN;
  frame.tail = packet + length;
  frame.pointers = pointers;
  frame.pktType = packetType(packet);
  frame.protocol = protocolOf(packet, length);
  frame.ifindex = 1;
  const socket = changetype<Socket>(at + offsetof<SkbFrame>());
  socket.state = TCP_CLOSE;
  socket.rxQueueMapping = -1;
  frame.sk = POINTER_BASE | (changetype<usize>(socket) as u64);
  frame.flowKeys = POINTER_BASE | ((at + offsetof<SkbFrame>('keys0')) as u64);
  const network = packet + ETH_HLEN;
  const protocol = bswap(frame.protocol as u16);
  if (protocol == ETH_P_IP && length >= ETH_HLEN + IPV4_HEADER) {
    socket.family = AF_INET;
    socket.srcIp4 = load<u32>(network, 12);
    socket.dstIp4 = load<u32>(network, 16);
  } else if (protocol == ETH_P_IPV6 && length >= ETH_HLEN + IPV6_HEADER) {
    socket.family = AF_INET6;
    memory.copy(changetype<usize>(socket) + offsetof<Socket>('srcIp6'), network + 8, 16);
    memory.copy(changetype<usize>(socket) + offsetof<Socket>('dstIp6'), network + 24, 16);
  }
  frame.family = socket.family;
  frame.localIp4 = socket.srcIp4;
  frame.remoteIp4 = socket.dstIp4;
  memory.copy(at + offsetof<SkbFrame>('localIp6'), changetype<usize>(socket) + offsetof<Socket>('srcIp6'), 16);
  memory.copy(at + offsetof<SkbFrame>('remoteIp6'), changetype<usize>(socket) + offsetof<Socket>('dstIp6'), 16);
  show(frame);
}

/** Gives back what helpers allocated for the frame. */
export function skb_frame_end(at: usize): void {
  const frame = changetype<SkbFrame>(at);
  if (frame.owned) heap.free(frame.hardStart);
  frame.owned = 0;
}

/** Sees to it that there are `before` bytes of room before the packet and `behind` bytes behind it. */
export function reserve(frame: SkbFrame, before: u32, behind: u32): void {
  if (frame.head - frame.hardStart >= before && frame.hardEnd - frame.tail >= behind) return;
  const used = frame.tail - frame.hardStart;
  const more = before + SKB_HEADROOM;
  const size = more + used + behind + SKB_TAILROOM;
  const buffer = heap.alloc(size);
  memory.fill(buffer, 0, size);
  memory.copy(buffer + more, frame.hardStart, used);
  const packet = frame.head - frame.hardStart;
  if (frame.owned) heap.free(frame.hardStart);
  frame.owned = 1;
  frame.hardStart = buffer as u32;
  frame.hardEnd = (buffer + size) as u32;
  frame.head = (buffer as u32) + more + packet;
  frame.tail = (buffer as u32) + more + used;
  frame.macHeader += more;
  frame.networkHeader += more;
  if (frame.transportHeader != NOT_SET) frame.transportHeader += more;
}

/**
 * Where a legacy load of `size` bytes at `offset` finds them; 0 when they are not all in the packet. Negative offsets are
 * from the network or the link header (bpf_internal_load_pointer_neg_helper).
 */
export function packet_address(cpu: Cpu, offset: i32, size: u32): usize {
  const program = changetype<Program>(cpu.program);
  const end = load<u32>(cpu.ctx + program.endField);
  let at = load<u32>(cpu.ctx + program.dataField);
  let from = at;
  if (offset < 0) {
    // Frames of drivers have no headers yet.
    if (!isSkb(changetype<usize>(cpu))) return 0;
    const frame = changetype<SkbFrame>(cpu.ctx);
    from = frame.hardStart;
    if (offset >= SKF_NET_OFF) {
      at = frame.hardStart + frame.networkHeader;
      offset -= SKF_NET_OFF;
    } else if (offset >= SKF_LL_OFF) {
      at = frame.hardStart + frame.macHeader;
      offset -= SKF_LL_OFF;
    } else return 0;
  }
  const address = (at as u64) + (offset as u64);
  return address >= (from as u64) && address + size <= (end as u64) ? (address as usize) : 0;
}
