// What the link, attach and query commands of bpf(2) take and give.

import type { Fd } from './fd.js';
import type { AttachType, LinkType } from './types.js';

/** Where among the programs of a hook (tcx, netkit, cgroup) the new one goes; see AttachFlag.Before and After. */
export interface Anchor {
  /** The program or link (with AttachFlag.Link) that it stands before or behind. */
  relativeFd?: Fd;
  /** The same by id, with AttachFlag.Id. */
  relativeId?: number;
  /** ESTALE when the hook has changed since progQuery gave this `revision`; 0 for any. */
  expectedRevision?: bigint;
}

export interface LinkCreateAttr {
  /** The program; of a struct_ops link, the map. */
  prog: Fd;
  attachType: AttachType;
  /** A cgroup, network namespace, map, perf event or program, whichever the attach type wants; `ifindex` instead for a device. */
  target?: Fd;
  /** The network device, for XDP, tcx and netkit. */
  ifindex?: number;
  /** AttachFlag bits, for XDP XdpFlag bits. */
  flags?: number;
  /** A value that the program reads with bpf_get_attach_cookie (perf events, tracing). */
  cookie?: bigint;
  /** The type id of what an fentry, fexit or ext program hooks, when it is another one than at load. */
  targetBtfId?: number;
  /** union bpf_iter_link_info, for iterators over a map, cgroup or task. */
  iterInfo?: Uint8Array;
  anchor?: Anchor;
  netfilter?: { pf: number; hooknum: number; priority: number; flags?: number };
  /** Functions by name or by address, not both. `flags` 1: when they return. */
  kprobeMulti?: {
    symbols?: readonly string[];
    addresses?: readonly bigint[];
    cookies?: readonly bigint[];
    flags?: number;
  };
  /** Offsets in bytes into the file. `flags` 1: when they return. `pid` 0: every process. */
  uprobeMulti?: {
    path: string;
    offsets: readonly bigint[];
    refCtrOffsets?: readonly bigint[];
    cookies?: readonly bigint[];
    pid?: number;
    flags?: number;
  };
}

export interface LinkUpdateAttr {
  /** The program, or the map of a struct_ops link, that takes over. */
  newProg: Fd;
  /** With AttachFlag.Replace: fails with EPERM unless this is the present one. */
  oldProg?: Fd;
  flags?: number;
}

interface LinkBase<T extends LinkType> {
  type: T;
  id: number;
  /** 0 for struct_ops. */
  progId: number;
}
type L = typeof LinkType;

/** What a link is: common fields, and what its type adds. */
export type LinkInfo =
  | LinkBase<L['Unspec']>
  | (LinkBase<L['RawTracepoint']> & { name: string; cookie: bigint })
  | (LinkBase<L['Tracing']> & {
      attachType: AttachType;
      targetObjId: number;
      targetBtfId: number;
      cookie: bigint;
    })
  | (LinkBase<L['Cgroup']> & { cgroupId: bigint; attachType: AttachType })
  | (LinkBase<L['Iter']> & {
      /** `bpf_map`, `task`, `cgroup`, `bpf_map_elem` ... */
      targetName: string;
      /** Of an iterator over the elements of a map. */
      mapId?: number;
      /** Of an iterator over cgroups. */
      cgroup?: { id: bigint; order: number };
      /** Of an iterator over tasks. */
      task?: { tid: number; pid: number };
    })
  | (LinkBase<L['Netns']> & { netnsIno: number; attachType: AttachType })
  | (LinkBase<L['Xdp']> & { ifindex: number })
  | (LinkBase<L['PerfEvent']> & { event: PerfLinkEvent })
  | (LinkBase<L['KprobeMulti']> & {
      addresses: bigint[];
      cookies: bigint[];
      flags: number;
      missed: bigint;
    })
  | (LinkBase<L['StructOps']> & { mapId: number })
  | (LinkBase<L['Netfilter']> & { pf: number; hooknum: number; priority: number; flags: number })
  | (LinkBase<L['Tcx'] | L['Netkit']> & { ifindex: number; attachType: AttachType })
  | (LinkBase<L['UprobeMulti']> & {
      path: string;
      offsets: bigint[];
      refCtrOffsets: bigint[];
      cookies: bigint[];
      flags: number;
      pid: number;
    })
  | (LinkBase<L['Sockmap']> & { mapId: number; attachType: AttachType });

/** What a perf event link hangs on. */
export type PerfLinkEvent =
  | { kind: 'uprobe' | 'uretprobe'; path: string; offset: number; cookie: bigint; refCtrOffset: bigint }
  | {
      kind: 'kprobe' | 'kretprobe';
      function: string;
      offset: number;
      address: bigint;
      missed: bigint;
      cookie: bigint;
    }
  | { kind: 'tracepoint'; name: string; cookie: bigint }
  | { kind: 'event'; type: number; config: bigint; cookie: bigint }
  | { kind: 'unknown' };

export interface ProgAttachAttr {
  prog: Fd;
  attachType: AttachType;
  /** A cgroup, map or network namespace; `ifindex` instead for a device. */
  target?: Fd;
  ifindex?: number;
  /** AttachFlag bits. */
  flags?: number;
  /** With AttachFlag.Replace: the program whose place it takes. */
  replaceProg?: Fd;
  anchor?: Anchor;
}

export interface ProgDetachAttr {
  attachType: AttachType;
  /** Which program; some hooks know without. */
  prog?: Fd;
  target?: Fd;
  ifindex?: number;
  flags?: number;
  anchor?: Anchor;
}

export interface ProgQueryAttr {
  attachType: AttachType;
  target?: Fd;
  ifindex?: number;
  /** 1 (BPF_F_QUERY_EFFECTIVE): also what is inherited from above. */
  flags?: number;
}

export interface ProgQueryResult {
  /** In the order in which they run. */
  programs: { progId: number; attachFlags: number; linkId: number; linkAttachFlags: number }[];
  /** AttachFlag bits of the hook itself. */
  attachFlags: number;
  /** Counts changes of the hook; 0 where the kernel does not count. */
  revision: bigint;
}
