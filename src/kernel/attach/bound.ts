// Programs that are for one device: only there they may run, and they may ask its driver for more (Linux:
// bpf_prog_dev_bound_init).

import type { ProgLoadAttr } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { ProgFlag, ProgType } from '../../bpf/types.js';
import { refuseLoad } from '../load-checks.js';
import type { Device } from '../net/device.js';
import type { Devices } from '../net/devices.js';
import { runsXdp } from './xdp.js';

/** The device that a load names; undefined for a program of any. Throws why it cannot be bound. */
export function boundDevice(attr: ProgLoadAttr, devices: Devices): Device | undefined {
  const { type, ifindex = 0, flags = 0 } = attr;
  if (ifindex === 0) return undefined;
  if (type !== ProgType.Xdp && type !== ProgType.SchedCls) refuseLoad('only XDP programs are for one device');
  if (flags & ~(ProgFlag.XdpDevBoundOnly | ProgFlag.XdpHasFrags)) {
    refuseLoad(`flags 0x${flags.toString(16)} do not go with a device`);
  }
  const bound = (flags & ProgFlag.XdpDevBoundOnly) !== 0;
  if (flags & ProgFlag.XdpHasFrags && !bound) refuseLoad('no driver offloads programs with fragments');
  if (type === ProgType.SchedCls && bound) refuseLoad('only XDP programs are bound to a device');
  const device = devices.byIndex(ifindex) ?? refuseLoad(`there is no device ${ifindex}`);
  if (!runsXdp(device)) refuseLoad(`${device.name}: its driver runs no programs`, Errno.EOPNOTSUPP);
  if (!bound) refuseLoad(`${device.name}: its driver offloads no programs`);
  return device;
}
