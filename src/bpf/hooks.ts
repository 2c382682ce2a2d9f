// What Linux attaches by other ways than bpf(2): network devices by netlink, perf events by perf_event_open(2).

import type { Fd } from './fd.js';

/** How an XDP program sits on a device: in its driver, in the generic receive path, or on the card. */
export type XdpMode = 'native' | 'generic' | 'offload';

/** A network device of the network namespace that the kernel's user lives in. */
export interface NetDevice {
  ifindex: number;
  name: string;
  /** XDP programs on it; more than one when several modes are used. */
  xdp: { mode: XdpMode; progId: number }[];
}

export interface XdpAttr {
  ifindex: number;
  /** Null takes the present program away. */
  prog: Fd | null;
  /** XdpFlag bits: the mode, and UpdateIfNoexist. */
  flags?: number;
  /** With XdpFlag.Replace: fails with EEXIST unless this is the present one. */
  expectedProg?: Fd;
}

/** A place for traffic control programs on a device. */
export interface TcHook {
  ifindex: number;
  direction: 'ingress' | 'egress';
}

/** A `bpf` filter of traffic control: `tc filter add dev ... bpf direct-action`. */
export interface TcFilterAttr extends TcHook {
  prog: Fd;
  /** Filters run from the lowest priority (1 to 65535) on; 0 lets the kernel choose. */
  priority?: number;
  /** Tells filters of one priority apart; 0 lets the kernel choose. */
  handle?: number;
  /** Take the place of a filter with the same priority and handle; otherwise that is EEXIST. */
  replace?: boolean;
  /** What lists show; the program's name usually. */
  name?: string;
}

export interface TcFilter extends TcHook {
  priority: number;
  handle: number;
  progId: number;
  name: string;
  directAction: boolean;
}

/** What perf_event_open(2) watches. */
export type PerfEvent =
  /** A hardware or software counter: `type` and `config` of struct perf_event_attr. */
  | { kind: 'event'; type: number; config: bigint; samplePeriod?: bigint; sampleFreq?: bigint }
  /** A tracepoint such as `syscalls`, `sys_enter_openat`. */
  | { kind: 'tracepoint'; category: string; name: string }
  /** A kernel function by name, or an address of the kernel; `offset` in bytes. */
  | { kind: 'kprobe'; function?: string; address?: bigint; offset?: bigint; onReturn?: boolean }
  /** An offset in bytes into an executable file or library; `refCtrOffset` of a USDT semaphore. */
  | { kind: 'uprobe'; path: string; offset: bigint; onReturn?: boolean; refCtrOffset?: number };

/**
 * Whose hits count. `pid` -1 (unless told): those of every process, on one CPU (`cpu`, 0 unless told; tracepoints and
 * probes run their program on every CPU all the same). `pid` 0: those of this process; on every CPU unless told.
 */
export type PerfEventAttr = PerfEvent & { pid?: number; cpu?: number };

/** The hooks that are not bpf(2)'s. Every method fails with a BpfError that has Linux's errno. */
export interface Hooks {
  /** All network devices (RTM_GETLINK), with the XDP programs on them. */
  netDevices(): Promise<NetDevice[]>;
  /** Puts an XDP program on a device or takes it away (RTM_SETLINK with IFLA_XDP). EBUSY while a link holds the device. */
  xdpSet(attr: XdpAttr): Promise<void>;
  /** Makes the place for filters (the `clsact` queueing discipline); EEXIST when it is there. */
  tcHookCreate(ifindex: number): Promise<void>;
  /** Takes the place away with every filter on it, in both directions. */
  tcHookDestroy(ifindex: number): Promise<void>;
  /** Adds a filter; gives it back with the priority and handle that it got. */
  tcFilterAdd(attr: TcFilterAttr): Promise<TcFilter>;
  /** ENOENT when there is no such filter. */
  tcFilterDelete(hook: TcHook & { priority: number; handle: number }): Promise<void>;
  /** The bpf filters of a hook, in the order in which they run. */
  tcFilters(hook: TcHook): Promise<TcFilter[]>;
  /** A perf event, not yet enabled. */
  perfEventOpen(attr: PerfEventAttr): Promise<Fd>;
  /** Has the event run a program (PERF_EVENT_IOC_SET_BPF): where links on perf events do not exist (before Linux 5.15). */
  perfEventSetBpf(event: Fd, prog: Fd): Promise<void>;
  perfEventEnable(event: Fd): Promise<void>;
  perfEventDisable(event: Fd): Promise<void>;
}
