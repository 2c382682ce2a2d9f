// All network devices of the emulated kernel, by name and by number. `lo` is always there, with number 1; numbers are not
// used again.

import { BpfError, Errno } from '../../bpf/errno.js';
import type { DeviceAttr } from '../../bpf/machine.js';
import { Device } from './device.js';

/** IFNAMSIZ, with the NUL at the end. */
const NAME_SIZE = 16;
/** Least and largest MTU of an Ethernet device (ETH_MIN_MTU, ETH_MAX_MTU). */
const MTU = { least: 68, most: 65535, usual: 1500 };
const LOOPBACK_MTU = 65536;
const MAX_QUEUES = 4096;

const refuse = (errno: Errno, detail: string): never => {
  throw new BpfError('RTM_NEWLINK', errno, detail);
};

/** dev_valid_name. */
function checkName(name: string): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes >= NAME_SIZE) {
    refuse(Errno.EINVAL, `${JSON.stringify(name)}: a device's name has 1 to ${NAME_SIZE - 1} bytes`);
  }
  if (name === '.' || name === '..' || /[/:\s]/.test(name)) {
    refuse(Errno.EINVAL, `${JSON.stringify(name)} cannot be the name of a device`);
  }
}

/** A unicast address, as text in lower case. */
function checkMac(mac: string): string {
  const bytes = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)
    ? mac.split(':').map((byte) => Number.parseInt(byte, 16))
    : [];
  const [first = 1] = bytes;
  if ((first & 1) !== 0 || bytes.every((byte) => byte === 0)) {
    refuse(
      Errno.EADDRNOTAVAIL,
      `${JSON.stringify(mac)} is not the address of a device: six bytes such as 02:00:00:00:00:01`,
    );
  }
  return mac.toLowerCase();
}

function whole(value: number, least: number, most: number, what: string): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    refuse(Errno.EINVAL, `${what} is ${value}, not ${least} to ${most}`);
  }
  return value;
}

/** Locally administered, and another one for every device. */
const macOf = (ifindex: number): string =>
  `02:00:${[24, 16, 8, 0].map((shift) => ((ifindex >>> shift) & 0xff).toString(16).padStart(2, '0')).join(':')}`;

export class Devices {
  readonly #byIndex = new Map<number, Device>();
  #next = 1;

  constructor() {
    this.#register(
      new Device({
        ifindex: this.#next,
        name: 'lo',
        kind: 'loopback',
        mtu: LOOPBACK_MTU,
        mac: '00:00:00:00:00:00',
        queues: 1,
      }),
    );
  }

  #register(device: Device): Device {
    this.#byIndex.set(device.ifindex, device);
    this.#next = device.ifindex + 1;
    return device;
  }

  /** By number, in ascending order. */
  get all(): Device[] {
    return [...this.#byIndex.values()];
  }

  byIndex(ifindex: number): Device | undefined {
    return this.#byIndex.get(ifindex);
  }

  byName(name: string): Device | undefined {
    return this.all.find((device) => device.name === name);
  }

  /** The device of this name, or ENODEV. */
  named(name: string, command: string): Device {
    const device = this.byName(name);
    if (!device) throw new BpfError(command, Errno.ENODEV, `there is no device ${JSON.stringify(name)}`);
    return device;
  }

  /** Makes a device, or both ends of a pair: all or nothing. */
  add(attr: DeviceAttr): Device {
    const { name, peer, mtu = MTU.usual, queues = 1 } = attr;
    for (const given of peer ? [name, peer.name] : [name]) {
      checkName(given);
      if (this.byName(given)) refuse(Errno.EEXIST, `there is a device ${JSON.stringify(given)} already`);
    }
    if (peer?.name === name) refuse(Errno.EEXIST, `both ends are to be ${JSON.stringify(name)}`);
    whole(mtu, MTU.least, MTU.most, 'the MTU');
    whole(queues, 1, MAX_QUEUES, 'the number of queues');
    const macs = [attr.mac, peer?.mac].map((mac) => (mac === undefined ? undefined : checkMac(mac)));
    const make = (name: string, mac: string | undefined): Device =>
      this.#register(
        new Device({
          ifindex: this.#next,
          name,
          kind: peer ? 'veth' : 'ethernet',
          mtu,
          mac: mac ?? macOf(this.#next),
          queues,
        }),
      );
    // Linux makes the peer first.
    const other = peer && make(peer.name, macs[1]);
    const device = make(name, macs[0]);
    if (other) {
      other.peer = device;
      device.peer = other;
    }
    return device;
  }

  /** Takes a device out, and its peer. */
  remove(name: string): void {
    const device = this.named(name, 'RTM_DELLINK');
    if (device.kind === 'loopback') {
      throw new BpfError('RTM_DELLINK', Errno.EOPNOTSUPP, `${name} is part of the kernel`);
    }
    for (const going of device.peer ? [device, device.peer] : [device]) {
      this.#byIndex.delete(going.ifindex);
      for (const end of [...going.removal]) end();
      going.removal.clear();
    }
  }
}
