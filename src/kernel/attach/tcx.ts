// Programs of traffic control on a device, in both directions (Linux: kernel/bpf/tcx.c).

import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, LinkType } from '../../bpf/types.js';
import type { Attached, Device } from '../net/device.js';
import type { Objects } from '../objects.js';
import type { KernelProgram } from '../program.js';
import { type Hook, KernelLink } from './link.js';
import { type Position, Programs } from './mprog.js';

export type TcxType = (typeof AttachType)['TcxIngress' | 'TcxEgress'];

const hooks = new WeakMap<Device, Record<TcxType, Programs>>();

/** The programs of one direction. */
export function tcxPrograms(objects: Objects, device: Device, type: TcxType): Programs {
  let both = hooks.get(device);
  if (!both) {
    const { ingress, egress } = device.tcx;
    both = {
      [AttachType.TcxIngress]: new Programs(ingress),
      [AttachType.TcxEgress]: new Programs(egress),
    };
    hooks.set(device, both);
    device.removal.add(() => {
      for (const attached of [...ingress, ...egress]) {
        if (attached instanceof KernelLink) attached.lose();
        else objects.drop(attached.program);
      }
      ingress.length = 0;
      egress.length = 0;
    });
  }
  return both[type];
}

/** BPF_PROG_ATTACH: the device holds the program. */
export function attachTcx(
  objects: Objects,
  programs: Programs,
  program: KernelProgram,
  position: Position,
  replaced: KernelProgram | undefined,
): void {
  const before: Attached | undefined = programs.attach('BPF_PROG_ATTACH', { program }, position, replaced);
  objects.hold(program);
  if (before) objects.drop(before.program);
}

/** BPF_PROG_DETACH. */
export function detachTcx(
  objects: Objects,
  programs: Programs,
  program: KernelProgram | undefined,
  position: Position,
): void {
  objects.drop(programs.detach('BPF_PROG_DETACH', program, position).program);
}

/** The place of links in one direction of a device. */
export function tcxHook(device: Device, programs: Programs, attachType: TcxType): Hook {
  return {
    type: LinkType.Tcx,
    info: { ifindex: device.ifindex, attachType },
    lostInfo: { ifindex: 0, attachType },
    update(link, next) {
      const command = 'BPF_LINK_UPDATE';
      if (next === link.program) return;
      if (programs.list.some(({ program }) => program === next)) {
        throw new BpfError(command, Errno.EEXIST, `program ${next.id} is there already`);
      }
      if (next.type !== link.program.type) {
        throw new BpfError(command, Errno.EINVAL, `program ${next.id} is of another type`);
      }
      programs.updated();
    },
    release: (link) => programs.release(link),
  };
}
