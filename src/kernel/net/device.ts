// A network device: who it is, what it has counted, and what hangs on it. Counters are those of Linux's veth driver.

import type { XdpMode } from '../../bpf/bpf.js';
import type {
  CapturedPacket,
  CapturePoint,
  DeviceCounters,
  DeviceState,
  QueueCounters,
} from '../../bpf/machine.js';
import type { KernelProgram } from '../program.js';

/** A program on a hook of the device. The hook holds it; with a link, the link does. */
export interface Attached {
  readonly program: KernelProgram;
}

export const zeroCounters = (): DeviceCounters => ({
  rxBytes: 0,
  rxPackets: 0,
  rxErrors: 0,
  rxDropped: 0,
  rxMissed: 0,
  rxMulticast: 0,
  txBytes: 0,
  txPackets: 0,
  txErrors: 0,
  txDropped: 0,
  txCarrier: 0,
  txCollisions: 0,
});

const zeroQueue = (): QueueCounters => ({
  packets: 0,
  bytes: 0,
  drops: 0,
  xdpPackets: 0,
  xdpBytes: 0,
  xdpPass: 0,
  xdpDrops: 0,
  xdpAborted: 0,
  xdpTx: 0,
  xdpTxErrors: 0,
  xdpRedirect: 0,
  xdpRedirectErrors: 0,
});

export type Tap = (packet: CapturedPacket) => void;

/** A device of the emulated kernel. */
export class Device {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: DeviceState['kind'];
  readonly mtu: number;
  /** `02:00:00:00:00:01`. */
  readonly mac: string;
  /** The other end of a veth pair. */
  peer: Device | undefined;
  readonly counters: DeviceCounters = zeroCounters();
  readonly queues: readonly QueueCounters[];
  /** The XDP program of each mode. */
  readonly xdp = new Map<XdpMode, Attached>();
  /** Programs of traffic control, in the order in which they run. */
  readonly tcx: Readonly<Record<'ingress' | 'egress', Attached[]>> = { ingress: [], egress: [] };
  /** Who records packets here. */
  readonly taps: Readonly<Record<CapturePoint, Set<Tap>>> = { cable: new Set(), stack: new Set() };
  /** Called once, when the device goes. */
  readonly removal = new Set<() => void>();

  constructor(parts: Pick<DeviceState, 'ifindex' | 'name' | 'kind' | 'mtu' | 'mac'> & { queues: number }) {
    this.ifindex = parts.ifindex;
    this.name = parts.name;
    this.kind = parts.kind;
    this.mtu = parts.mtu;
    this.mac = parts.mac;
    this.queues = Array.from({ length: parts.queues }, zeroQueue);
  }

  /** A copy of what it is and has counted. */
  get state(): DeviceState {
    const { ifindex, name, kind, mtu, mac, peer } = this;
    return {
      ifindex,
      name,
      kind,
      mtu,
      mac,
      ...(peer ? { peer: { ifindex: peer.ifindex, name: peer.name } } : {}),
      counters: { ...this.counters },
      queues: this.queues.map((queue) => ({ ...queue })),
    };
  }
}
