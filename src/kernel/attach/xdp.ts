// XDP programs on a device, by links and by netlink (Linux: dev_xdp_attach): one in each mode, and never in the driver and
// in the generic path at once.

import type { XdpMode } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, LinkType, ProgFlag, XdpFlag } from '../../bpf/types.js';
import type { Attached, Device } from '../net/device.js';
import type { Objects } from '../objects.js';
import type { KernelProgram } from '../program.js';
import { type Hook, KernelLink } from './link.js';

const MODES = XdpFlag.SkbMode | XdpFlag.DrvMode | XdpFlag.HwMode;
const ALL = MODES | XdpFlag.UpdateIfNoexist | XdpFlag.Replace;

/** Longest packet (without Ethernet header) of a driver that keeps each in one page, and what fragments add to it. */
const PAGE_MTU = 3506;
const FRAGMENTS = 17 * 4096;

const isSingle = (bits: number): boolean => (bits & (bits - 1)) === 0;

/** Whether the device's driver runs XDP programs. */
export const runsXdp = (device: Device): boolean => device.kind !== 'loopback';

/** dev_xdp_mode. */
function modeOf(device: Device, flags: number): XdpMode {
  if (flags & XdpFlag.HwMode) return 'offload';
  if (flags & XdpFlag.DrvMode) return 'native';
  if (flags & XdpFlag.SkbMode) return 'generic';
  return runsXdp(device) ? 'native' : 'generic';
}

interface Request {
  readonly command: string;
  readonly flags: number;
  readonly isLink: boolean;
  readonly program: KernelProgram | undefined;
  readonly expected: KernelProgram | undefined;
}

/** Throws why the program cannot be put on the device; otherwise the mode in which it can. */
function check(device: Device, { command, flags, isLink, program, expected }: Request): XdpMode {
  const refuse = (errno: Errno, detail: string): never => {
    throw new BpfError(command, errno, `${device.name}: ${detail}`);
  };
  if (isLink && flags & ~MODES) refuse(Errno.EINVAL, 'a link takes only flags of modes');
  if (!isSingle(flags & MODES)) refuse(Errno.EINVAL, 'a program runs in one mode');
  if (!(flags & MODES) && device.xdp.size > 1) {
    refuse(Errno.EINVAL, 'there is more than one program, so the mode must be said');
  }
  const mode = modeOf(device, flags);
  const present = device.xdp.get(mode);
  if (present instanceof KernelLink) refuse(Errno.EBUSY, `link ${present.id} is there`);
  if (isLink && present) refuse(Errno.EBUSY, `program ${present.program.id} is there, without a link`);
  if (flags & XdpFlag.Replace && present?.program !== expected) {
    refuse(Errno.EEXIST, `the present program is ${present?.program.id ?? 'none'}, not the expected one`);
  }
  if (!program) return mode;
  if (flags & XdpFlag.UpdateIfNoexist && present) {
    refuse(Errno.EBUSY, `program ${present.program.id} is there`);
  }
  const other = mode === 'generic' ? 'native' : 'generic';
  if (mode !== 'offload' && device.xdp.has(other)) {
    refuse(Errno.EEXIST, 'native and generic programs cannot be there at the same time');
  }
  const { expectedAttachType, device: bound } = program.parts;
  if (bound && bound !== device) refuse(Errno.EINVAL, `program ${program.id} is bound to ${bound.name}`);
  if (bound && mode === 'generic')
    refuse(Errno.EINVAL, 'a program that is bound to a device runs in its driver');
  if (expectedAttachType === AttachType.XdpDevmap || expectedAttachType === AttachType.XdpCpumap) {
    refuse(Errno.EINVAL, `program ${program.id} was loaded for elements of maps`);
  }
  if (program !== present?.program) checkDriver(device, mode, program, command);
  return mode;
}

/** What the driver has to say (veth_xdp_set); the generic path takes everything. */
function checkDriver(device: Device, mode: XdpMode, program: KernelProgram, command: string): void {
  const refuse = (errno: Errno, detail: string): never => {
    throw new BpfError(command, errno, `${device.name}: ${detail}`);
  };
  if (mode === 'generic') return;
  if (!runsXdp(device)) refuse(Errno.EOPNOTSUPP, 'its driver runs no XDP programs; generic mode would');
  if (mode === 'offload') refuse(Errno.EINVAL, 'its driver offloads no programs');
  const most = PAGE_MTU + (program.parts.flags & ProgFlag.XdpHasFrags ? FRAGMENTS : 0);
  const mtu = device.peer?.mtu ?? device.mtu;
  if (mtu > most) refuse(Errno.ERANGE, `packets of ${mtu} bytes do not fit a page, at most ${most} do`);
}

/** A program that netlink put there: the device holds it. */
class Held implements Attached {
  readonly program: KernelProgram;
  readonly #objects: Objects;

  constructor(objects: Objects, program: KernelProgram) {
    this.#objects = objects;
    this.program = objects.hold(program);
  }

  release(): void {
    this.#objects.drop(this.program);
  }
}

/** What the device is left with when it goes: links hang on nothing, other programs are let go. */
const leaving = new WeakSet<Device>();
function watch(device: Device): void {
  if (leaving.has(device)) return;
  leaving.add(device);
  device.removal.add(() => {
    for (const attached of device.xdp.values()) {
      if (attached instanceof KernelLink) attached.lose();
      if (attached instanceof Held) attached.release();
    }
    device.xdp.clear();
  });
}

/** Puts a program on a device by netlink, or takes the present one away (null). */
export function setXdp(
  objects: Objects,
  device: Device,
  program: KernelProgram | undefined,
  flags: number,
  expected: KernelProgram | undefined,
): void {
  const command = 'RTM_SETLINK';
  if (flags & ~ALL)
    throw new BpfError(command, Errno.EINVAL, `flags 0x${flags.toString(16)} mean nothing here`);
  const mode = check(device, { command, flags, isLink: false, program, expected });
  const before = device.xdp.get(mode);
  if (program) device.xdp.set(mode, new Held(objects, program));
  else device.xdp.delete(mode);
  if (before instanceof Held) before.release();
  watch(device);
}

/** The place of a link on a device, and `attach` to put it there. */
export function xdpHook(
  device: Device,
  program: KernelProgram,
  flags: number,
): { hook: Hook; attach(link: KernelLink): void } {
  const command = 'BPF_LINK_CREATE';
  const mode = check(device, { command, flags, isLink: true, program, expected: undefined });
  const hook: Hook = {
    type: LinkType.Xdp,
    info: { ifindex: device.ifindex },
    lostInfo: { ifindex: 0 },
    update(link, next) {
      const { type, parts } = link.program;
      if (next.type !== type || next.parts.expectedAttachType !== parts.expectedAttachType) {
        throw new BpfError(
          'BPF_LINK_UPDATE',
          Errno.EINVAL,
          `program ${next.id} was loaded for something else`,
        );
      }
      if (next !== link.program) checkDriver(device, mode, next, 'BPF_LINK_UPDATE');
    },
    release: () => {
      device.xdp.delete(mode);
    },
  };
  return {
    hook,
    attach: (link) => {
      device.xdp.set(mode, link);
      watch(device);
    },
  };
}
