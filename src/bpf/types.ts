// The numbers and names of <linux/bpf.h> that cross the waist. Each table is `Name: number`, in the
// kernel's order; `nameOf` gives the kernel's lower-case word back (as bpftool prints it).

type ValueOf<T> = T[keyof T];

/** Map types (enum bpf_map_type). */
export const MapType = {
  Unspec: 0,
  Hash: 1,
  Array: 2,
  ProgArray: 3,
  PerfEventArray: 4,
  PercpuHash: 5,
  PercpuArray: 6,
  StackTrace: 7,
  CgroupArray: 8,
  LruHash: 9,
  LruPercpuHash: 10,
  LpmTrie: 11,
  ArrayOfMaps: 12,
  HashOfMaps: 13,
  Devmap: 14,
  Sockmap: 15,
  Cpumap: 16,
  Xskmap: 17,
  Sockhash: 18,
  CgroupStorage: 19,
  ReuseportSockarray: 20,
  PercpuCgroupStorage: 21,
  Queue: 22,
  Stack: 23,
  SkStorage: 24,
  DevmapHash: 25,
  StructOps: 26,
  Ringbuf: 27,
  InodeStorage: 28,
  TaskStorage: 29,
  BloomFilter: 30,
  UserRingbuf: 31,
  CgrpStorage: 32,
  Arena: 33,
  InsnArray: 34,
  Rhash: 35,
} as const;
export type MapType = ValueOf<typeof MapType>;

/** Program types (enum bpf_prog_type). */
export const ProgType = {
  Unspec: 0,
  SocketFilter: 1,
  Kprobe: 2,
  SchedCls: 3,
  SchedAct: 4,
  Tracepoint: 5,
  Xdp: 6,
  PerfEvent: 7,
  CgroupSkb: 8,
  CgroupSock: 9,
  LwtIn: 10,
  LwtOut: 11,
  LwtXmit: 12,
  SockOps: 13,
  SkSkb: 14,
  CgroupDevice: 15,
  SkMsg: 16,
  RawTracepoint: 17,
  CgroupSockAddr: 18,
  LwtSeg6local: 19,
  LircMode2: 20,
  SkReuseport: 21,
  FlowDissector: 22,
  CgroupSysctl: 23,
  RawTracepointWritable: 24,
  CgroupSockopt: 25,
  Tracing: 26,
  StructOps: 27,
  Ext: 28,
  Lsm: 29,
  SkLookup: 30,
  Syscall: 31,
  Netfilter: 32,
} as const;
export type ProgType = ValueOf<typeof ProgType>;

/** Attach types (enum bpf_attach_type). */
export const AttachType = {
  CgroupInetIngress: 0,
  CgroupInetEgress: 1,
  CgroupInetSockCreate: 2,
  CgroupSockOps: 3,
  SkSkbStreamParser: 4,
  SkSkbStreamVerdict: 5,
  CgroupDevice: 6,
  SkMsgVerdict: 7,
  CgroupInet4Bind: 8,
  CgroupInet6Bind: 9,
  CgroupInet4Connect: 10,
  CgroupInet6Connect: 11,
  CgroupInet4PostBind: 12,
  CgroupInet6PostBind: 13,
  CgroupUdp4Sendmsg: 14,
  CgroupUdp6Sendmsg: 15,
  LircMode2: 16,
  FlowDissector: 17,
  CgroupSysctl: 18,
  CgroupUdp4Recvmsg: 19,
  CgroupUdp6Recvmsg: 20,
  CgroupGetsockopt: 21,
  CgroupSetsockopt: 22,
  TraceRawTp: 23,
  TraceFentry: 24,
  TraceFexit: 25,
  ModifyReturn: 26,
  LsmMac: 27,
  TraceIter: 28,
  CgroupInet4Getpeername: 29,
  CgroupInet6Getpeername: 30,
  CgroupInet4Getsockname: 31,
  CgroupInet6Getsockname: 32,
  XdpDevmap: 33,
  CgroupInetSockRelease: 34,
  XdpCpumap: 35,
  SkLookup: 36,
  Xdp: 37,
  SkSkbVerdict: 38,
  SkReuseportSelect: 39,
  SkReuseportSelectOrMigrate: 40,
  PerfEvent: 41,
  TraceKprobeMulti: 42,
  LsmCgroup: 43,
  StructOps: 44,
  Netfilter: 45,
  TcxIngress: 46,
  TcxEgress: 47,
  TraceUprobeMulti: 48,
  CgroupUnixConnect: 49,
  CgroupUnixSendmsg: 50,
  CgroupUnixRecvmsg: 51,
  CgroupUnixGetpeername: 52,
  CgroupUnixGetsockname: 53,
  NetkitPrimary: 54,
  NetkitPeer: 55,
  TraceKprobeSession: 56,
  TraceUprobeSession: 57,
  TraceFsession: 58,
  TraceFentryMulti: 59,
  TraceFexitMulti: 60,
  TraceFsessionMulti: 61,
} as const;
export type AttachType = ValueOf<typeof AttachType>;

/** Link types (enum bpf_link_type). */
export const LinkType = {
  Unspec: 0,
  RawTracepoint: 1,
  Tracing: 2,
  Cgroup: 3,
  Iter: 4,
  Netns: 5,
  Xdp: 6,
  PerfEvent: 7,
  KprobeMulti: 8,
  StructOps: 9,
  Netfilter: 10,
  Tcx: 11,
  UprobeMulti: 12,
  Netkit: 13,
  Sockmap: 14,
  TracingMulti: 15,
} as const;
export type LinkType = ValueOf<typeof LinkType>;

const words = (table: Record<string, number>): ReadonlyMap<number, string> =>
  new Map(
    Object.entries(table).map(([name, value]) => [
      value,
      name.replace(/[A-Z]/g, (letter, at: number) => (at ? '_' : '') + letter.toLowerCase()),
    ]),
  );

const mapTypeWords = words(MapType);
const progTypeWords = words(ProgType);
const attachTypeWords = words(AttachType);
const linkTypeWords = words(LinkType);

/** `percpu_array` for MapType.PercpuArray; undefined for a number that no map type has. */
export const mapTypeName = (type: number): string | undefined => mapTypeWords.get(type);
/** `sched_cls` for ProgType.SchedCls. */
export const progTypeName = (type: number): string | undefined => progTypeWords.get(type);
/** `cgroup_inet_ingress` for AttachType.CgroupInetIngress. */
export const attachTypeName = (type: number): string | undefined => attachTypeWords.get(type);

/** `raw_tracepoint` for LinkType.RawTracepoint. */
export const linkTypeName = (type: number): string | undefined => linkTypeWords.get(type);

/** Map creation flags (BPF_F_*). */
export const MapFlag = {
  NoPrealloc: 1 << 0,
  NoCommonLru: 1 << 1,
  NumaNode: 1 << 2,
  Rdonly: 1 << 3,
  Wronly: 1 << 4,
  StackBuildId: 1 << 5,
  ZeroSeed: 1 << 6,
  RdonlyProg: 1 << 7,
  WronlyProg: 1 << 8,
  Clone: 1 << 9,
  Mmapable: 1 << 10,
  PreserveElems: 1 << 11,
  InnerMap: 1 << 12,
  Link: 1 << 13,
  PathFd: 1 << 14,
  VtypeBtfObjFd: 1 << 15,
  TokenFd: 1 << 16,
  Segv: 1 << 17,
  NoUserConv: 1 << 18,
} as const;

/** Program load flags (BPF_F_*). */
export const ProgFlag = {
  StrictAlignment: 1 << 0,
  AnyAlignment: 1 << 1,
  TestRndHi32: 1 << 2,
  TestStateFreq: 1 << 3,
  Sleepable: 1 << 4,
  XdpHasFrags: 1 << 5,
  XdpDevBoundOnly: 1 << 6,
  TestRegInvariants: 1 << 7,
  TokenFd: 1 << 16,
} as const;

/** Element update flags (BPF_ANY and so on). */
export const UpdateFlag = { Any: 0, NoExist: 1, Exist: 2, Lock: 4 } as const;

/** How a program joins those that a hook has (BPF_F_*). */
export const AttachFlag = {
  /** Cgroups: a program further down may replace this one. */
  AllowOverride: 1 << 0,
  /** Cgroups: programs further down run as well. */
  AllowMulti: 1 << 1,
  Replace: 1 << 2,
  Before: 1 << 3,
  After: 1 << 4,
  /** The anchor is named by its id. */
  Id: 1 << 5,
  /** Cgroups: runs before those further down. */
  Preorder: 1 << 6,
  /** The anchor is a link, not a program. */
  Link: 1 << 13,
} as const;

/** XDP attachment (XDP_FLAGS_*): one mode at most, or the kernel chooses. */
export const XdpFlag = {
  /** EBUSY when there is a program already. */
  UpdateIfNoexist: 1 << 0,
  /** Generic. */
  SkbMode: 1 << 1,
  /** Native: in the driver. */
  DrvMode: 1 << 2,
  /** Offloaded. */
  HwMode: 1 << 3,
  /** Only in place of the expected program. */
  Replace: 1 << 4,
} as const;

/** What an XDP program answers (enum xdp_action). */
export const XdpAction = { Aborted: 0, Drop: 1, Pass: 2, Tx: 3, Redirect: 4 } as const;
