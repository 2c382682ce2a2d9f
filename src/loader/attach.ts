// Attaching a loaded program. By a link where the kernel knows one for the hook (EINVAL where it does not), otherwise in
// the way that was there before: netlink for devices, an ioctl for perf events.

import { SkepError } from '../base/error.js';
import type { Bpf, LinkCreateAttr, PerfEventAttr, TcHook, XdpMode } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { AttachFlag, AttachType, attachTypeName, XdpFlag } from '../bpf/types.js';
import {
  type Attachable,
  BpfLink,
  type Link,
  PerfEventAttachment,
  TcAttachment,
  XdpAttachment,
} from './link.js';

export interface XdpOptions {
  /** The network device's number. */
  ifindex: number;
  /** The kernel chooses unless told: native where the driver can, generic otherwise. */
  mode?: XdpMode;
  /** Only this way; by default a link, and netlink where the kernel has no links for XDP (before Linux 5.9). */
  via?: 'link' | 'netlink';
}

export interface TcOptions extends TcHook {
  /** Only this way; by default tcx, and a clsact filter where the kernel has no tcx (before Linux 6.6). */
  via?: 'tcx' | 'filter';
  /** tcx: before or behind which program of the hook, by its id. The last place otherwise. */
  before?: number;
  after?: number;
  /** Filter: which place among the filters (1 to 65535, the lowest runs first); the kernel chooses otherwise. */
  priority?: number;
}

const modeFlags: Readonly<Record<XdpMode, number>> = {
  native: XdpFlag.DrvMode,
  generic: XdpFlag.SkbMode,
  offload: XdpFlag.HwMode,
};

/** Runs `link`; where the kernel does not know such links, `otherwise`. Its error then is the one that matters. */
async function linkOr(
  wanted: boolean | undefined,
  link: () => Promise<Link>,
  otherwise: () => Promise<Link>,
): Promise<Link> {
  if (wanted === true) return link();
  if (wanted === false) return otherwise();
  try {
    return await link();
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.EINVAL) return otherwise();
    throw error;
  }
}

/** A BpfError as one for a person; other errors as they are. */
function explain(error: unknown, program: Attachable, where: string): unknown {
  if (!(error instanceof BpfError)) return error;
  return new SkepError(`cannot be attached to ${where}: ${error.message}`, {
    where: `program '${program.name}'`,
    hint: hints[error.errno] ?? '',
    cause: error,
  });
}

const hints: Readonly<Record<number, string>> = {
  [Errno.EBUSY]: 'There is a program already: detach it first.',
  [Errno.EEXIST]: 'There is a program already: detach it first.',
  [Errno.ENODEV]: 'There is no such device in this network namespace.',
  [Errno.EPERM]: 'It needs root, or CAP_NET_ADMIN for devices and CAP_PERFMON for events.',
};

async function attached(program: Attachable, where: string, attach: () => Promise<Link>): Promise<Link> {
  try {
    return await attach();
  } catch (error) {
    throw explain(error, program, where);
  }
}

/** Puts an XDP program on a device that has none in this mode. Throws a SkepError. */
export async function attachXdp(kernel: Bpf, program: Attachable, options: XdpOptions): Promise<Link> {
  const { ifindex, mode, via } = options;
  const flags = mode === undefined ? 0 : modeFlags[mode];
  const where = `device ${ifindex}, xdp${mode === undefined ? '' : ` ${mode}`}`;
  const byLink = async () =>
    new BpfLink(
      kernel,
      where,
      await kernel.linkCreate({ prog: program.fd, attachType: AttachType.Xdp, ifindex, flags }),
    );
  const byNetlink = async () => {
    await kernel.xdpSet({ ifindex, prog: program.fd, flags: flags | XdpFlag.UpdateIfNoexist });
    return new XdpAttachment(kernel, where, ifindex, flags, program.fd);
  };
  return attached(program, where, () => linkOr(via && via === 'link', byLink, byNetlink));
}

/**
 * Adds a traffic control program to a device. Throws a SkepError. Where it becomes a filter, its place (the clsact
 * queueing discipline) is made when it is not there, and stays.
 */
export async function attachTc(kernel: Bpf, program: Attachable, options: TcOptions): Promise<Link> {
  const { ifindex, direction, via, before, after, priority = 0 } = options;
  const where = `device ${ifindex}, tc ${direction}`;
  const byTcx = async () => {
    const attachType = direction === 'ingress' ? AttachType.TcxIngress : AttachType.TcxEgress;
    const anchor = before ?? after;
    const side = before === undefined ? AttachFlag.After : AttachFlag.Before;
    const fd = await kernel.linkCreate({
      prog: program.fd,
      attachType,
      ifindex,
      ...(anchor === undefined ? {} : { flags: side | AttachFlag.Id, anchor: { relativeId: anchor } }),
    });
    return new BpfLink(kernel, where, fd);
  };
  const byFilter = async () => {
    await kernel.tcHookCreate(ifindex).catch((error) => {
      if (!(error instanceof BpfError && error.errno === Errno.EEXIST)) throw error;
    });
    const { name, fd: prog } = program;
    return new TcAttachment(
      kernel,
      where,
      await kernel.tcFilterAdd({ ifindex, direction, prog, priority, name }),
    );
  };
  return attached(program, where, () => linkOr(via && via === 'tcx', byTcx, byFilter));
}

/** Has every hit of a raw tracepoint run the program. Throws a SkepError. */
export async function attachRawTracepoint(
  kernel: Bpf,
  program: Attachable,
  name: string,
  cookie?: bigint,
): Promise<Link> {
  const where = `raw tracepoint ${name}`;
  return attached(program, where, async () => {
    const attr = { prog: program.fd, name, ...(cookie === undefined ? {} : { cookie }) };
    return new BpfLink(kernel, where, await kernel.rawTracepointOpen(attr));
  });
}

/** Attaches a tp_btf, fentry, fexit, fmod_ret or lsm program to what it was loaded for. Throws a SkepError. */
export async function attachTracing(kernel: Bpf, program: Attachable): Promise<Link> {
  const where = 'what it was loaded for';
  return attached(
    program,
    where,
    async () => new BpfLink(kernel, where, await kernel.rawTracepointOpen({ prog: program.fd })),
  );
}

/** Where a perf event is, for a person. */
function eventName(event: PerfEventAttr): string {
  switch (event.kind) {
    case 'event':
      return `perf event ${event.type}:${event.config}`;
    case 'tracepoint':
      return `tracepoint ${event.category}:${event.name}`;
    case 'kprobe':
      return `${event.onReturn ? 'kretprobe' : 'kprobe'} ${event.function ?? `0x${(event.address ?? 0n).toString(16)}`}`;
    case 'uprobe':
      return `${event.onReturn ? 'uretprobe' : 'uprobe'} ${event.path}+0x${event.offset.toString(16)}`;
  }
}

/** Has every hit of a perf event (counter, tracepoint, kprobe, uprobe) run the program. Throws a SkepError. */
export async function attachPerfEvent(
  kernel: Bpf,
  program: Attachable,
  event: PerfEventAttr,
  cookie?: bigint,
): Promise<Link> {
  const where = eventName(event);
  return attached(program, where, async () => {
    const fd = await kernel.perfEventOpen(event);
    const byLink = async () => {
      const attr: LinkCreateAttr = { prog: program.fd, target: fd, attachType: AttachType.PerfEvent };
      if (cookie !== undefined) attr.cookie = cookie;
      const link = await kernel.linkCreate(attr);
      return new BpfLink(kernel, where, link, [fd]);
    };
    const byIoctl = async () => {
      await kernel.perfEventSetBpf(fd, program.fd);
      return new PerfEventAttachment(kernel, where, fd);
    };
    let link: Link;
    try {
      // A cookie needs a link.
      link = await linkOr(cookie === undefined ? undefined : true, byLink, byIoctl);
    } catch (error) {
      await kernel.close(fd);
      throw error;
    }
    try {
      await kernel.perfEventEnable(fd);
      return link;
    } catch (error) {
      await link.close();
      throw error;
    }
  });
}

/** Attaches by any other link: cgroups, network namespaces, iterators, netfilter, multi-probes. Throws a SkepError. */
export async function attachLink(
  kernel: Bpf,
  program: Attachable,
  attr: Omit<LinkCreateAttr, 'prog'>,
): Promise<Link> {
  const target = attr.ifindex === undefined ? '' : `device ${attr.ifindex}, `;
  const where = target + (attachTypeName(attr.attachType) ?? `attach type ${attr.attachType}`);
  return attached(
    program,
    where,
    async () => new BpfLink(kernel, where, await kernel.linkCreate({ prog: program.fd, ...attr })),
  );
}

/** Attaches to a cgroup, named by its folder, beside the programs that it has. Throws a SkepError. */
export async function attachCgroup(
  kernel: Bpf,
  program: Attachable,
  path: string,
  attachType: AttachType,
): Promise<Link> {
  const where = `cgroup ${path}, ${attachTypeName(attachType) ?? attachType}`;
  return attached(program, where, async () => {
    const target = await kernel.open(path);
    try {
      return new BpfLink(kernel, where, await kernel.linkCreate({ prog: program.fd, target, attachType }));
    } finally {
      await kernel.close(target);
    }
  });
}
