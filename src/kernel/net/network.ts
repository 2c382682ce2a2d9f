// The way of packets between cables and the network stack, through the programs on it, as Linux's veth driver and its
// receive path have it:
//
//     cable --> native XDP --> generic XDP --> tcx ingress --> stack
//                  |  |             |  |            |
//                TX  REDIRECT     TX  REDIRECT   REDIRECT
//                  v  v             v  v            v
//     cable <------------------------------ tcx egress <-- stack
//
// The stack has no sockets: what gets there is counted and goes. What is sent on a veth device comes in at its peer.

import type { KernelMap } from '../maps/index.js';
import type { KernelMemory } from '../memory/memory.js';
import type { KernelProgram } from '../program.js';
import type { FrameArena } from '../programs/frames.js';
import type { ProgramRun } from '../programs/run.js';
import type { Attached, Device } from './device.js';
import type { Devices } from './devices.js';
import { ETHERNET_HEADER, fits, isKnownProtocol, isMulticast, queueOf } from './packet.js';
import { redirectTargets } from './redirect.js';
import { runTc, TcAction } from './tc.js';
import { runXdp, XdpAction, type XdpOutcome } from './xdp.js';

/** A packet may go round in circles between programs; Linux would never come to an end. */
const MAX_HOPS = 65536;

/** What the network needs of the kernel around it. */
export interface NetworkKernel {
  readonly memory: KernelMemory;
  readonly arena: FrameArena;
  /** Address of the Cpu that programs run on. */
  readonly cpu: number;
  /** A run of a program; statistics and waiters are the caller's. */
  run(program: KernelProgram): ProgramRun;
  /** What ran, and how long in nanoseconds. */
  ran(program: KernelProgram, nanoseconds: number): void;
  programById(id: number): KernelProgram | undefined;
  /** The map at an address of linear memory. */
  mapAt(address: number): KernelMap | undefined;
  /** A traffic control program run on a packet; its verdict, the packet, and the device that it is redirected to. */
  runTc?(
    program: KernelProgram,
    packet: Uint8Array,
    device: Device,
    direction: 'ingress' | 'egress',
  ): TcOutcome;
}

export interface TcOutcome {
  /** TCX_NEXT (-1), TC_ACT_OK (0), TC_ACT_SHOT (2), TC_ACT_REDIRECT (7) ... */
  readonly verdict: number;
  readonly packet: Uint8Array;
  readonly redirect: { readonly ifindex: number; readonly ingress: boolean };
}

/** A packet on its way into a device. */
interface Arrival {
  readonly device: Device;
  readonly packet: Uint8Array;
  /** It was sent by an XDP program (TX or REDIRECT), not by a stack. */
  readonly raw: boolean;
}

export class Network {
  readonly #kernel: NetworkKernel;
  readonly devices: Devices;
  /** Packets that are under way; worked off one after the other, so that no loop is a recursion. */
  readonly #arrivals: Arrival[] = [];
  #passed = 0;

  constructor(kernel: NetworkKernel, devices: Devices) {
    this.#kernel = kernel;
    this.devices = devices;
  }

  /** Programs that packets on `device` may meet: to be prepared before many of them. */
  programsOn(device: Device): KernelProgram[] {
    return [...device.xdp.values(), ...device.tcx.ingress].map(({ program }) => program);
  }

  /**
   * A packet comes in from the cable. On a veth device it is one that the peer's stack sends. `queue` -1: the one that
   * its flow belongs to. Says whether the device took it, and how many packets got to a stack because of it.
   */
  receive(device: Device, packet: Uint8Array): { received: boolean; passed: number } {
    this.#passed = 0;
    const received = fits(packet, device.mtu);
    if (!received) device.counters.rxErrors++;
    else if (device.peer) this.#transmit(device.peer, packet);
    else this.#arrive(device, packet, false);
    for (let hops = 0; this.#arrivals.length > 0; hops++) {
      const arrival = this.#arrivals.shift() as Arrival;
      if (hops < MAX_HOPS) this.#take(arrival);
      else arrival.device.counters.rxDropped++;
    }
    return { received, passed: this.#passed };
  }

  #arrive(device: Device, packet: Uint8Array, raw: boolean): void {
    this.#arrivals.push({ device, packet, raw });
  }

  // ---- in

  #take({ device, packet, raw }: Arrival): void {
    const number = queueOf(packet, device.queues.length);
    const queue = device.queues[number];
    if (!queue) throw new Error(`device ${device.name} has no queue ${number}`);
    record(device, 'cable', 'in', packet);
    const native = device.xdp.get('native');
    // The Ethernet header is off already when the driver of a veth device counts what its program saw.
    const bytes = packet.length - (native && device.peer && !raw ? ETHERNET_HEADER : 0);
    const { counters } = device;
    counters.rxPackets++;
    counters.rxBytes += bytes;
    queue.packets++;
    queue.bytes += bytes;
    if (device.peer && !raw) {
      device.peer.counters.txPackets++;
      device.peer.counters.txBytes += bytes;
    }
    if (isMulticast(packet) && !device.peer) counters.rxMulticast++;
    let seen = packet;
    if (native) {
      queue.xdpPackets++;
      queue.xdpBytes += bytes;
      const outcome = this.#xdp(native, device, packet, number);
      seen = outcome.packet;
      switch (outcome.verdict) {
        case XdpAction.Pass:
          queue.xdpPass++;
          break;
        case XdpAction.Tx:
          if (this.#transmitRaw(device, seen)) queue.xdpTx++;
          else {
            queue.xdpTxErrors++;
            counters.txDropped++;
            if (device.peer) device.peer.counters.rxDropped++;
          }
          return;
        case XdpAction.Redirect:
          if (this.#redirect(device, outcome, true)) queue.xdpRedirect++;
          else {
            queue.xdpRedirectErrors++;
            queue.drops++;
            counters.rxDropped++;
          }
          return;
        default:
          queue.xdpDrops++;
          if (outcome.verdict !== XdpAction.Drop) queue.xdpAborted++;
          return;
      }
    }
    const generic = device.xdp.get('generic');
    if (generic) {
      const outcome = this.#xdp(generic, device, seen, number);
      seen = outcome.packet;
      if (outcome.verdict === XdpAction.Tx) this.#send(device, seen);
      else if (outcome.verdict === XdpAction.Redirect) this.#redirect(device, outcome, false);
      if (outcome.verdict !== XdpAction.Pass) return;
    }
    this.#toStack(device, seen);
  }

  #xdp(attached: Attached, device: Device, packet: Uint8Array, queue: number, egress = 0): XdpOutcome {
    const run = this.#kernel.run(attached.program);
    const begin = run.now();
    const outcome = runXdp(this.#kernel, run, packet, { ingress: device.ifindex, queue, egress });
    this.#kernel.ran(attached.program, run.now() - begin);
    return outcome;
  }

  #toStack(device: Device, packet: Uint8Array): void {
    record(device, 'stack', 'in', packet);
    const left = this.#tc(device, 'ingress', packet);
    if (!left) return;
    this.#passed++;
    if (!isKnownProtocol(left)) device.counters.rxDropped++;
  }

  /** The traffic control programs of a device, until one decides; undefined when the packet goes no further here. */
  #tc(device: Device, direction: 'ingress' | 'egress', packet: Uint8Array): Uint8Array | undefined {
    const { cpu } = this.#kernel;
    const ingress = direction === 'ingress' ? device.ifindex : 0;
    let seen = packet;
    for (const { program } of device.tcx[direction]) {
      const run = this.#kernel.run(program);
      const begin = run.now();
      const outcome = runTc(cpu, run, seen, { ifindex: device.ifindex, ingress });
      this.#kernel.ran(program, run.now() - begin);
      seen = outcome.packet;
      switch (outcome.verdict) {
        case TcAction.Next:
          continue;
        case TcAction.Redirect: {
          const target = this.devices.byIndex(outcome.redirect.ifindex);
          if (target && outcome.redirect.ingress) this.#toStack(target, seen);
          else if (target) this.#transmit(target, seen);
          return undefined;
        }
        case TcAction.Shot:
          return undefined;
        default:
          return seen;
      }
    }
    return seen;
  }

  // ---- out

  /** What the stack sends. */
  #transmit(device: Device, packet: Uint8Array): void {
    const left = this.#tc(device, 'egress', packet);
    if (!left) return;
    record(device, 'stack', 'out', left);
    this.#send(device, left);
  }

  /** Puts a packet on the cable. */
  #send(device: Device, packet: Uint8Array): void {
    const { counters, peer } = device;
    if (!fits(packet, Math.min(device.mtu, peer?.mtu ?? device.mtu))) {
      counters.txDropped++;
      return;
    }
    record(device, 'cable', 'out', packet);
    if (peer) {
      // Counted when the peer has taken it, as it counts.
      this.#arrive(peer, packet, false);
      return;
    }
    counters.txPackets++;
    counters.txBytes += packet.length;
    if (device.kind === 'loopback') this.#arrive(device, packet, false);
  }

  /** What a native XDP program sends: no stack sees it. A veth device sends it only when its peer has such a program too. */
  #transmitRaw(device: Device, packet: Uint8Array): boolean {
    const { counters, peer } = device;
    if (!canTransmitRaw(device) || !fits(packet, device.mtu)) return false;
    record(device, 'cable', 'out', packet);
    counters.txPackets++;
    counters.txBytes += packet.length;
    if (peer) this.#arrive(peer, packet, true);
    return true;
  }

  // ---- elsewhere

  /** XDP_REDIRECT: whether there was somewhere to go. */
  #redirect(device: Device, { packet, redirect }: XdpOutcome, native: boolean): boolean {
    const found = redirectTargets(this.#kernel, redirect, device.ifindex);
    if (!found) return false;
    if (found.kind === 'cpu') {
      const program = this.#kernel.programById(found.program);
      if (!program) {
        this.#toStack(device, packet);
        return true;
      }
      const outcome = this.#xdp({ program }, device, packet, 0);
      if (outcome.verdict === XdpAction.Pass) this.#toStack(device, outcome.packet);
      else if (outcome.verdict === XdpAction.Redirect) this.#redirect(device, outcome, true);
      return true;
    }
    // Of a broadcast nobody asks how many it reached.
    let sent = found.kind === 'broadcast';
    for (const { ifindex, program } of found.devices) {
      const target = this.devices.byIndex(ifindex);
      if (!target || !fits(packet, target.mtu) || (native && !canTransmitRaw(target))) continue;
      sent = true;
      this.#forward(device, target, this.#kernel.programById(program), packet, native);
    }
    return sent;
  }

  /** To a device, past the program of the map's element if it has one. */
  #forward(
    from: Device,
    to: Device,
    program: KernelProgram | undefined,
    packet: Uint8Array,
    native: boolean,
  ): void {
    let seen = packet;
    if (program) {
      const outcome = this.#xdp({ program }, from, packet, 0, to.ifindex);
      if (outcome.verdict !== XdpAction.Pass) {
        if (outcome.verdict !== XdpAction.Drop) to.counters.txErrors++;
        return;
      }
      seen = outcome.packet;
    }
    if (native) this.#transmitRaw(to, seen);
    else this.#send(to, seen);
  }
}

/** Whether a device takes packets from native XDP programs (NETDEV_XDP_ACT_NDO_XMIT). */
function canTransmitRaw(device: Device): boolean {
  if (device.kind === 'loopback') return false;
  return device.peer === undefined || device.peer.xdp.has('native');
}

/** To those who record packets at a device. */
function record(device: Device, point: 'cable' | 'stack', direction: 'in' | 'out', packet: Uint8Array): void {
  const taps = device.taps[point];
  if (taps.size === 0) return;
  const time = BigInt(Date.now()) * 1_000_000n;
  for (const tap of taps) tap({ direction, time, data: packet });
}
