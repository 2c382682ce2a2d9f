// What a kernel can do, found out by trying: the smallest program or map of each type, a call of each helper. Ways and
// expectations are libbpf's (libbpf_probe_bpf_prog_type and its like).

import type { Bpf, Fd, MapCreateAttr, ProgLoadAttr } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { AttachType, MapFlag, MapType, ProgFlag, ProgType } from '../../bpf/types.js';
import { kernelVersionCode } from '../../loader/externs.js';
import { kernelRelease } from '../../loader/kernel-facts.js';
import { withFds } from '../objects.js';

const insn = (opcode: number, registers: number, offset: number, imm: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  bytes[0] = opcode;
  bytes[1] = registers;
  view.setInt16(2, offset, true);
  view.setInt32(4, imm, true);
  return bytes;
};
const joined = (...insns: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(insns.length * 8);
  insns.forEach((one, at) => {
    bytes.set(one, at * 8);
  });
  return bytes;
};

/** r0 = imm */
const mov = (imm: number): Uint8Array => insn(0xb7, 0, 0, imm);
const exit = insn(0x95, 0, 0, 0);
const call = (helper: number): Uint8Array => insn(0x85, 0, 0, helper);

/** What a load ended with. */
interface Attempt {
  /** 0 when it was loaded. */
  errno: number;
  log: string;
}

/** What a type needs beyond its number to be loaded, and how a kernel that knows it refuses the attempt. */
interface Demands {
  attr?: Partial<ProgLoadAttr>;
  refusal?: { errno: number; log?: string };
}

const DEMANDS: Readonly<Partial<Record<ProgType, Demands>>> = {
  [ProgType.CgroupSockAddr]: { attr: { expectedAttachType: AttachType.CgroupInet4Connect } },
  [ProgType.CgroupSockopt]: { attr: { expectedAttachType: AttachType.CgroupGetsockopt } },
  [ProgType.SkLookup]: { attr: { expectedAttachType: AttachType.SkLookup } },
  [ProgType.LircMode2]: { attr: { expectedAttachType: AttachType.LircMode2 } },
  [ProgType.Netfilter]: { attr: { expectedAttachType: AttachType.Netfilter } },
  [ProgType.Syscall]: { attr: { flags: ProgFlag.Sleepable } },
  [ProgType.Tracing]: {
    attr: { expectedAttachType: AttachType.TraceFentry, attachBtfId: 1, logLevel: 1 },
    refusal: { errno: Errno.EINVAL, log: 'attach_btf_id 1 is not a function' },
  },
  [ProgType.Lsm]: {
    attr: { expectedAttachType: AttachType.ModifyReturn, attachBtfId: 1, logLevel: 1 },
    refusal: { errno: Errno.EINVAL, log: 'attach_btf_id 1 is not a function' },
  },
  [ProgType.Ext]: {
    attr: { attachBtfId: 1, logLevel: 1 },
    refusal: { errno: Errno.EINVAL, log: 'Cannot replace kernel functions' },
  },
  [ProgType.StructOps]: { refusal: { errno: Errno.ENOTSUPP } },
};

/** Types of which no program can be loaded without knowing what it is attached to. */
const UNPROBED_HELPERS: ReadonlySet<ProgType> = new Set([
  ProgType.Tracing,
  ProgType.Ext,
  ProgType.Lsm,
  ProgType.StructOps,
]);

/** The types that cards run programs of. */
export const OFFLOADED_TYPES: ReadonlySet<ProgType> = new Set([ProgType.SchedCls, ProgType.Xdp]);
export const OFFLOADED_MAPS: ReadonlySet<MapType> = new Set([MapType.Hash, MapType.Array]);

/** struct { int cnt; struct bpf_spin_lock l; } as type 3, and a 32-bit integer as type 1. */
function localStorageBtf(): Uint8Array {
  const strings = '\0bpf_spin_lock\0val\0cnt\0l\0';
  const [INT, STRUCT] = [1, 4];
  const types = Uint32Array.of(
    ...[0, INT << 24, 4, (1 << 24) | 32],
    ...[1, (STRUCT << 24) | 1, 4, 15, 1, 0],
    ...[15, (STRUCT << 24) | 2, 8, 19, 1, 0, 23, 2, 32],
  );
  const header = Uint32Array.of(0x0001eb9f, 24, 0, types.byteLength, types.byteLength, strings.length);
  const bytes = new Uint8Array(header.byteLength + types.byteLength + strings.length);
  bytes.set(new Uint8Array(header.buffer));
  bytes.set(new Uint8Array(types.buffer), header.byteLength);
  bytes.set(new TextEncoder().encode(strings), header.byteLength + types.byteLength);
  return bytes;
}

const PAGE = 4096;
/** struct bpf_cgroup_storage_key, with the padding at its end. */
const CGROUP_STORAGE_KEY = 16;
/** struct bpf_insn_array_value. */
const INSN_ARRAY_VALUE = 16;

/** The smallest map of a type. */
function smallestMap(type: MapType): MapCreateAttr {
  const attr: MapCreateAttr = { type, keySize: 4, valueSize: 4, maxEntries: 1 };
  switch (type) {
    case MapType.StackTrace:
      return { ...attr, valueSize: 8 };
    case MapType.LpmTrie:
      return { ...attr, keySize: 8, valueSize: 8, flags: MapFlag.NoPrealloc };
    case MapType.Rhash:
      return { ...attr, flags: MapFlag.NoPrealloc };
    case MapType.CgroupStorage:
    case MapType.PercpuCgroupStorage:
      return { ...attr, keySize: CGROUP_STORAGE_KEY, valueSize: 8, maxEntries: 0 };
    case MapType.Queue:
    case MapType.Stack:
    case MapType.BloomFilter:
      return { ...attr, keySize: 0 };
    case MapType.SkStorage:
    case MapType.InodeStorage:
    case MapType.TaskStorage:
    case MapType.CgrpStorage:
      return {
        ...attr,
        valueSize: 8,
        maxEntries: 0,
        flags: MapFlag.NoPrealloc,
        btfKeyTypeId: 1,
        btfValueTypeId: 3,
      };
    case MapType.Ringbuf:
    case MapType.UserRingbuf:
      return { ...attr, keySize: 0, valueSize: 0, maxEntries: PAGE };
    case MapType.StructOps:
      return { ...attr, btfVmlinuxValueTypeId: 1 };
    case MapType.Arena:
      return { ...attr, keySize: 0, valueSize: 0, flags: MapFlag.Mmapable };
    case MapType.InsnArray:
      return { ...attr, valueSize: INSN_ARRAY_VALUE };
    default:
      return attr;
  }
}

/** Tries things on a kernel, or on a device of it. */
export class KernelProbe {
  readonly #bpf: Bpf;
  readonly #ifindex: number;
  readonly #kernelVersion: number;

  private constructor(bpf: Bpf, ifindex: number, kernelVersion: number) {
    this.#bpf = bpf;
    this.#ifindex = ifindex;
    this.#kernelVersion = kernelVersion;
  }

  /** `ifindex` 0 is the kernel itself. */
  static async of(bpf: Bpf, ifindex: number): Promise<KernelProbe> {
    const release = await kernelRelease(bpf);
    return new KernelProbe(bpf, ifindex, release === undefined ? 0 : kernelVersionCode(release));
  }

  async #load(type: ProgType, instructions: Uint8Array, attr: Partial<ProgLoadAttr> = {}): Promise<Attempt> {
    const log = { text: '' };
    const device = this.#ifindex === 0 ? {} : { ifindex: this.#ifindex };
    try {
      const fd = await this.#bpf.progLoad({
        type,
        instructions,
        license: 'GPL',
        ...(type === ProgType.Kprobe ? { kernelVersion: this.#kernelVersion } : {}),
        ...device,
        ...attr,
        ...(attr.logLevel ? { log } : {}),
      });
      await this.#bpf.close(fd);
      return { errno: 0, log: log.text };
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return { errno: error.errno, log: error.verifierLog ?? log.text };
    }
  }

  /** Whether programs of a type can be loaded. */
  async progType(type: ProgType): Promise<boolean> {
    if (this.#ifindex !== 0) return (await this.#load(type, joined(mov(2), exit))).errno === 0;
    const { attr, refusal } = DEMANDS[type] ?? {};
    const { errno, log } = await this.#load(type, joined(mov(0), exit), attr);
    if (refusal === undefined) return errno === 0;
    return errno === refusal.errno && (refusal.log === undefined || log.includes(refusal.log));
  }

  /** Whether maps of a type can be made. */
  async mapType(type: MapType): Promise<boolean> {
    const made: Fd[] = [];
    return withFds(this.#bpf, made, async () => {
      const attr: MapCreateAttr =
        this.#ifindex === 0
          ? smallestMap(type)
          : { type, keySize: 4, valueSize: 4, maxEntries: 1, ifindex: this.#ifindex };
      try {
        if (attr.btfValueTypeId) {
          attr.btfFd = await this.#bpf.btfLoad(localStorageBtf());
          made.push(attr.btfFd);
        }
        if (type === MapType.ArrayOfMaps || type === MapType.HashOfMaps) {
          const inner = { type: MapType.Hash, keySize: 4, valueSize: 4, maxEntries: 1 };
          attr.innerMapFd = await this.#bpf.mapCreate(inner);
          made.push(attr.innerMapFd);
        }
        made.push(await this.#bpf.mapCreate(attr));
        return type !== MapType.StructOps;
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        return type === MapType.StructOps && error.errno === Errno.ENOTSUPP;
      }
    });
  }

  /** Whether programs of a type, which can be loaded, may call a helper. */
  async helper(type: ProgType, helper: number): Promise<boolean> {
    if (this.#ifindex === 0 && UNPROBED_HELPERS.has(type)) return false;
    const demands = this.#ifindex === 0 ? DEMANDS[type]?.attr : undefined;
    const { log } = await this.#load(type, joined(call(helper), exit), { ...demands, logLevel: 1 });
    return !/invalid func |unknown func |program of this type cannot use helper /.test(log);
  }

  /** Whether a program of a kind that any type may have is taken. */
  async #takes(instructions: Uint8Array): Promise<boolean> {
    return (await this.#load(ProgType.SocketFilter, instructions)).errno === 0;
  }

  /** More than 4096 instructions. */
  async largePrograms(): Promise<boolean> {
    return this.#takes(joined(...new Array<Uint8Array>(4096).fill(mov(1)), exit));
  }

  async boundedLoops(): Promise<boolean> {
    return this.#takes(joined(mov(10), insn(0x17, 0, 0, 1), insn(0x55, 0, -2, 0), exit));
  }

  /** Unsigned and signed less-than. */
  async isaV2(): Promise<boolean> {
    return this.#takes(joined(mov(0), insn(0xa5, 0, 1, 0), mov(1), exit));
  }

  /** Comparisons of 32 bits. */
  async isaV3(): Promise<boolean> {
    return this.#takes(joined(mov(0), insn(0xa6, 0, 1, 0), mov(1), exit));
  }

  /** Jumps with 32 bits of offset. */
  async isaV4(): Promise<boolean> {
    return this.#takes(joined(mov(0), insn(0x16, 0, 1, 1), insn(0x06, 0, 0, 1), mov(1), exit));
  }
}
