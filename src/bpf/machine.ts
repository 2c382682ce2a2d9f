// What there is of a machine around the emulated kernel, and what a person does to it: network cards put in and taken out,
// cables, packets on them. The real kernel's machine is real; it has no such commands.

import type { PacketBatch } from './programs.js';

/** An Ethernet device to make. */
export interface DeviceAttr {
  /** At most 15 characters, no `/`, no space; not `.` or `..`. */
  name: string;
  /** The other end of a virtual cable, made with it (a veth pair). Without one, the device's cable leads to the world outside. */
  peer?: { name: string; mac?: string };
  /** Bytes after the Ethernet header: 68 to 65535, 1500 unless told. */
  mtu?: number;
  /** `02:00:00:00:00:01`; locally administered and made of the ifindex unless told. */
  mac?: string;
  /** Receive queues, 1 to 4096 (1 unless told). A packet's queue follows from its flow (addresses and ports). */
  queues?: number;
}

/** What `ip -s link` shows. */
export interface DeviceCounters {
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDropped: number;
  rxMissed: number;
  rxMulticast: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDropped: number;
  txCarrier: number;
  txCollisions: number;
}

/** What `ethtool -S` shows of a receive queue. */
export interface QueueCounters {
  /** Packets and bytes that came in. */
  packets: number;
  bytes: number;
  /** Packets that no XDP program saw and that did not get to the network stack either. */
  drops: number;
  xdpPackets: number;
  xdpBytes: number;
  /** XDP_PASS and XDP_DROP; XDP_ABORTED and unknown verdicts. */
  xdpPass: number;
  xdpDrops: number;
  xdpAborted: number;
  xdpTx: number;
  xdpTxErrors: number;
  xdpRedirect: number;
  xdpRedirectErrors: number;
}

export interface DeviceState {
  ifindex: number;
  name: string;
  kind: 'loopback' | 'ethernet' | 'veth';
  mtu: number;
  mac: string;
  /** The other end of a veth pair. */
  peer?: { ifindex: number; name: string };
  counters: DeviceCounters;
  queues: QueueCounters[];
}

/** What became of packets that came in from the cable. */
export interface ReceiveResult {
  /** Packets that the device took. */
  received: number;
  /** Packets that got to the network stack. */
  passed: number;
  /** Longer than the device's MTU allows, or shorter than an Ethernet header. */
  refused: number;
}

/** A packet on a cable. */
export interface CapturedPacket {
  direction: 'in' | 'out';
  /** Nanoseconds since 1970. */
  time: bigint;
  /** From the Ethernet header on. */
  data: Uint8Array;
  /** Packets before this one that are lost, because they were not taken in time. */
  lost?: number;
}

/**
 * Where packets are recorded: on the `cable` (all that comes in, before any program, and all that goes out), or where tcpdump
 * looks, at the network `stack` (what XDP programs let through, and what the stack sends).
 */
export type CapturePoint = 'cable' | 'stack';

/** Commands for what is around the kernel. What is wrong with a request is a BpfError with the errno that netlink gives. */
export interface Machine {
  /** Makes a device, or a pair; EEXIST when a name is taken. Gives back the ifindex (of the first). */
  deviceAdd(attr: DeviceAttr): Promise<number>;
  /** Takes a device out, and its peer; what was attached to it ends as in Linux. ENODEV; EOPNOTSUPP for `lo`. */
  deviceRemove(name: string): Promise<void>;
  deviceList(): Promise<DeviceState[]>;
  /** Packets come in from the cable, all at once. `times` of the batch is what programs see as the time. */
  deviceReceive(name: string, packets: PacketBatch): Promise<ReceiveResult>;
  /** Calls `listener` with what passes a device from now on, until disposed. */
  deviceCapture(
    name: string,
    point: CapturePoint,
    listener: (packets: readonly CapturedPacket[]) => void,
  ): Promise<Disposable>;
}
