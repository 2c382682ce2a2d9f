// Links and attachment without links in the emulated kernel: from descriptors and devices to hooks.

import type {
  Anchor,
  Fd,
  LinkCreateAttr,
  LinkInfo,
  LinkUpdateAttr,
  NetDevice,
  ProgAttachAttr,
  ProgDetachAttr,
  ProgQueryAttr,
  ProgQueryResult,
  XdpAttr,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachFlag, AttachType, attachTypeName, progTypeName, XdpFlag } from '../bpf/types.js';
import { type Hook, KernelLink } from './attach/link.js';
import type { Position, Relative } from './attach/mprog.js';
import { programTypeOf } from './attach/program-types.js';
import { attachTcx, detachTcx, type TcxType, tcxHook, tcxPrograms } from './attach/tcx.js';
import { setXdp, xdpHook } from './attach/xdp.js';
import type { Descriptors } from './descriptors.js';
import type { KernelMachine, Task } from './machine.js';
import type { Device } from './net/device.js';
import type { KernelProgram } from './program.js';
import { demandRoot } from './rights.js';
import { refuseHook } from './unhooked.js';

const MPROG_FLAGS =
  AttachFlag.Replace | AttachFlag.Before | AttachFlag.After | AttachFlag.Id | AttachFlag.Link;

const isTcx = (type: AttachType): type is TcxType =>
  type === AttachType.TcxIngress || type === AttachType.TcxEgress;
/** Whether there is a hook of this type here. */
const isHooked = (type: AttachType): boolean => type === AttachType.Xdp || isTcx(type);

export class KernelLinks {
  readonly #machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #task: Task;

  constructor(machine: KernelMachine, descriptors: Descriptors, task: Task) {
    this.#machine = machine;
    this.#descriptors = descriptors;
    this.#task = task;
  }

  #device(command: string, ifindex: number | undefined, errno: Errno = Errno.ENODEV): Device {
    const device = this.#machine.devices.byIndex(ifindex ?? 0);
    if (!device) throw new BpfError(command, errno, `there is no device ${ifindex ?? 0}`);
    return device;
  }

  /** The program behind a descriptor, if it fits an attach type (bpf_prog_attach_check_attach_type). */
  #program(command: string, fd: Fd, attachType: AttachType): KernelProgram {
    const program = this.#descriptors.get(fd, 'program', command);
    const { type } = program;
    if (type !== (programTypeOf(attachType) ?? type)) {
      const names = `a ${progTypeName(type)} program cannot hang on ${attachTypeName(attachType) ?? attachType}`;
      throw new BpfError(command, Errno.EINVAL, names);
    }
    return program;
  }

  // ---- links

  async linkCreate(attr: LinkCreateAttr): Promise<Fd> {
    const command = 'BPF_LINK_CREATE';
    const { attachType, ifindex, flags = 0 } = attr;
    const program = this.#program(command, attr.prog, attachType);
    if (!isHooked(attachType)) return refuseHook(command, attachType);
    if (isTcx(attachType)) {
      const device = this.#device(command, ifindex);
      const programs = tcxPrograms(this.#machine.objects, device, attachType);
      const position = this.#position(command, flags, attr.anchor, program);
      return this.#create(attachType, program, tcxHook(device, programs, attachType), (link) =>
        programs.attach(command, link, position),
      );
    }
    const { hook, attach } = xdpHook(this.#device(command, ifindex, Errno.EINVAL), program, flags);
    return this.#create(attachType, program, hook, attach);
  }

  #create(
    attachType: AttachType,
    program: KernelProgram,
    hook: Hook,
    attach: (link: KernelLink) => void,
  ): Fd {
    const { objects } = this.#machine;
    const link = new KernelLink(objects, objects.newId('link'), attachType, program, hook);
    try {
      attach(link);
    } catch (error) {
      objects.drop(program);
      throw error;
    }
    return this.#descriptors.create('link', link, () => link.destroy());
  }

  async linkUpdate(fd: Fd, { newProg, oldProg, flags = 0 }: LinkUpdateAttr): Promise<void> {
    const command = 'BPF_LINK_UPDATE';
    if (flags & ~AttachFlag.Replace) {
      throw new BpfError(command, Errno.EINVAL, `flags 0x${flags.toString(16)} mean nothing here`);
    }
    const link = this.#descriptors.get(fd, 'link', command);
    const program = this.#descriptors.get(newProg, 'program', command);
    if (flags & AttachFlag.Replace && oldProg === undefined) {
      throw new BpfError(command, Errno.EINVAL, 'which program is expected is not said');
    }
    const expected = oldProg === undefined ? undefined : this.#descriptors.get(oldProg, 'program', command);
    link.update(program, expected);
  }

  async linkDetach(fd: Fd): Promise<void> {
    this.#descriptors.get(fd, 'link', 'BPF_LINK_DETACH').detach();
  }

  async linkInfo(fd: Fd): Promise<LinkInfo> {
    return this.#descriptors.get(fd, 'link', 'BPF_OBJ_GET_INFO_BY_FD').info;
  }

  async linkGetNextId(id: number): Promise<number> {
    const command = 'BPF_LINK_GET_NEXT_ID';
    demandRoot(this.#task, command);
    return this.#machine.objects.nextId('link', id, command);
  }

  async linkGetFdById(id: number): Promise<Fd> {
    const command = 'BPF_LINK_GET_FD_BY_ID';
    demandRoot(this.#task, command);
    return this.#descriptors.open(this.#machine.objects.byId('link', id, command));
  }

  // ---- attachment without links

  /** What an anchor stands for (bpf_mprog_tuple_relative). */
  #relative(command: string, flags: number, anchor: Anchor): Relative {
    const { objects } = this.#machine;
    const { relativeFd, relativeId } = anchor;
    const byId = (flags & AttachFlag.Id) !== 0;
    const given = relativeId ?? relativeFd ?? 0;
    if (flags & AttachFlag.Link) {
      if (!byId && given === 0) throw new BpfError(command, Errno.EINVAL, 'which link is not said');
      const link = byId
        ? objects.byId('link', given, command)
        : this.#descriptors.get(given, 'link', command);
      return { program: link.program, link };
    }
    if (!byId && given === 0) return {};
    return {
      program: byId
        ? objects.byId('program', given, command)
        : this.#descriptors.get(given, 'program', command),
    };
  }

  #position(command: string, flags: number, anchor: Anchor = {}, program?: KernelProgram): Position {
    return {
      flags,
      expectedRevision: anchor.expectedRevision ?? 0n,
      relative: () => {
        const relative = this.#relative(command, flags, anchor);
        if (program && relative.program && relative.program.type !== program.type) {
          throw new BpfError(command, Errno.EINVAL, 'the program beside it would be of another type');
        }
        return relative;
      },
    };
  }

  #checkFlags(command: string, flags: number): void {
    if (flags & ~MPROG_FLAGS) {
      throw new BpfError(command, Errno.EINVAL, `flags 0x${flags.toString(16)} mean nothing here`);
    }
  }

  /** Whatever is not attached by these commands, or not here. */
  #refuse(command: string, type: AttachType): never {
    if (type !== AttachType.Xdp) return refuseHook(command, type);
    throw new BpfError(command, Errno.EINVAL, 'XDP programs are attached by links or by netlink');
  }

  async progAttach(attr: ProgAttachAttr): Promise<void> {
    const command = 'BPF_PROG_ATTACH';
    const { attachType, ifindex, flags = 0, anchor, replaceProg } = attr;
    if (!isTcx(attachType)) {
      this.#program(command, attr.prog, attachType);
      return this.#refuse(command, attachType);
    }
    this.#checkFlags(command, flags);
    const program = this.#program(command, attr.prog, attachType);
    const { objects } = this.#machine;
    const device = this.#device(command, ifindex);
    const replaces = (flags & AttachFlag.Replace) !== 0;
    if (replaces && replaceProg === undefined) {
      throw new BpfError(command, Errno.EINVAL, 'which program is replaced is not said');
    }
    const replaced =
      replaces && replaceProg !== undefined ? this.#program(command, replaceProg, attachType) : undefined;
    const position = this.#position(command, flags, anchor, program);
    attachTcx(objects, tcxPrograms(objects, device, attachType), program, position, replaced);
  }

  async progDetach(attr: ProgDetachAttr): Promise<void> {
    const command = 'BPF_PROG_DETACH';
    const { attachType, ifindex, flags = 0, anchor, prog } = attr;
    if (!isTcx(attachType)) return this.#refuse(command, attachType);
    this.#checkFlags(command, flags);
    const program = prog === undefined ? undefined : this.#program(command, prog, attachType);
    const { objects } = this.#machine;
    const device = this.#device(command, ifindex);
    const position = this.#position(command, flags, anchor, program);
    detachTcx(objects, tcxPrograms(objects, device, attachType), program, position);
  }

  async progQuery({ attachType, ifindex, flags = 0 }: ProgQueryAttr): Promise<ProgQueryResult> {
    const command = 'BPF_PROG_QUERY';
    demandRoot(this.#task, command);
    if (!isTcx(attachType)) return this.#refuse(command, attachType);
    const programs = tcxPrograms(this.#machine.objects, this.#device(command, ifindex), attachType);
    if (flags) throw new BpfError(command, Errno.EINVAL, 'there is nothing above to inherit from');
    return {
      programs: programs.list.map((attached) => ({
        progId: attached.program.id,
        attachFlags: 0,
        linkId: attached instanceof KernelLink ? attached.id : 0,
        linkAttachFlags: 0,
      })),
      attachFlags: 0,
      revision: programs.revision,
    };
  }

  async netDevices(): Promise<NetDevice[]> {
    return this.#machine.devices.all.map(({ ifindex, name, xdp }) => ({
      ifindex,
      name,
      xdp: Array.from(xdp, ([mode, { program }]) => ({ mode, progId: program.id })),
    }));
  }

  async xdpSet({ ifindex, prog, flags = 0, expectedProg }: XdpAttr): Promise<void> {
    const command = 'RTM_SETLINK';
    demandRoot(this.#task, command);
    const all = expectedProg === undefined ? flags : flags | XdpFlag.Replace;
    const device = this.#device(command, ifindex);
    if (all & XdpFlag.Replace && expectedProg === undefined) {
      throw new BpfError(command, Errno.EINVAL, 'which program is expected is not said');
    }
    const program = prog === null ? undefined : this.#program(command, prog, AttachType.Xdp);
    const expected =
      expectedProg === undefined ? undefined : this.#program(command, expectedProg, AttachType.Xdp);
    setXdp(this.#machine.objects, device, program, all, expected);
  }
}
