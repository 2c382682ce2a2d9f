// What a kernel can do, found out by trying, as `bpftool feature probe` does: a map or a program of each type is made
// and dropped, and each helper is called by a program that is loaded and dropped. Nothing is attached.

import type { Bpf, Fd, MapCreateAttr, ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { helperNames } from '../bpf/helpers.js';
import { AttachType, MapFlag, MapType, ProgFlag, ProgType } from '../bpf/types.js';
import { kernelVersion } from './machine.js';

export interface Features {
  mapTypes: ReadonlyMap<MapType, boolean>;
  progTypes: ReadonlyMap<ProgType, boolean>;
  /**
   * Numbers of the helpers that a program of each type may call. Types that a load alone does not make (tracing, lsm,
   * ext, struct_ops) are left out: their helpers depend on what they hook.
   */
  helpers: ReadonlyMap<ProgType, readonly number[]>;
  misc: MiscFeatures;
}

/** What the verifier takes beyond the first kernels with BPF. */
export interface MiscFeatures {
  /** More than 4096 instructions (Linux 5.2). */
  largeInsnLimit: boolean;
  /** Loops that end (Linux 5.3). */
  boundedLoops: boolean;
  /** Instructions of -mcpu=v2, v3 and v4 (Linux 4.14, 5.1, 6.6). */
  isaV2: boolean;
  isaV3: boolean;
  isaV4: boolean;
}

const CALL = 0x85;
const EXIT = 0x95;
const MOV64_IMM = 0xb7;
const SUB64_IMM = 0x17;
const JNE_IMM = 0x55;
const JLT_IMM = 0xa5;
const JLT32_IMM = 0xa6;
const JEQ32_IMM = 0x16;
const GOTOL = 0x06;

type Row = readonly [opcode: number, registers?: number, offset?: number, imm?: number];

/** Instructions as bytes: opcode u8, registers u8, offset s16, imm s32. */
function code(...rows: readonly Row[]): Uint8Array {
  const bytes = new Uint8Array(rows.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, [opcode, registers = 0, offset = 0, imm = 0]] of rows.entries()) {
    view.setUint8(i * 8, opcode);
    view.setUint8(i * 8 + 1, registers);
    view.setInt16(i * 8 + 2, offset, true);
    view.setInt32(i * 8 + 4, imm, true);
  }
  return bytes;
}

const returnZero = code([MOV64_IMM], [EXIT]);

/** What a load needs beside its type. Type 1 of the kernel's BTF can be hooked by nobody, which the verifier then says. */
const progExtras: Readonly<Partial<Record<ProgType, Partial<ProgLoadAttr>>>> = {
  [ProgType.CgroupSockAddr]: { expectedAttachType: AttachType.CgroupInet4Connect },
  [ProgType.CgroupSockopt]: { expectedAttachType: AttachType.CgroupGetsockopt },
  [ProgType.SkLookup]: { expectedAttachType: AttachType.SkLookup },
  [ProgType.LircMode2]: { expectedAttachType: AttachType.LircMode2 },
  [ProgType.Netfilter]: { expectedAttachType: AttachType.Netfilter },
  [ProgType.Syscall]: { flags: ProgFlag.Sleepable },
  [ProgType.Tracing]: { expectedAttachType: AttachType.TraceFentry, attachBtfId: 1 },
  [ProgType.Lsm]: { expectedAttachType: AttachType.LsmMac, attachBtfId: 1 },
  [ProgType.Ext]: { attachBtfId: 1 },
  [ProgType.StructOps]: { attachBtfId: 1 },
};

/** These programs say at load what they hook. */
const hooking: ReadonlySet<ProgType> = new Set([
  ProgType.Tracing,
  ProgType.Lsm,
  ProgType.Ext,
  ProgType.StructOps,
]);

function loadAttr(type: ProgType, instructions: Uint8Array): ProgLoadAttr {
  // Kernels before 5.0 load kprobes only when told their own version.
  const version = type === ProgType.Kprobe ? { kernelVersion: kernelVersion() } : {};
  return { type, instructions, license: 'GPL', ...version, ...progExtras[type] };
}

/** Runs `make`, drops what it made, and gives the error when it failed. */
async function attempt(kernel: Bpf, make: () => Promise<Fd>): Promise<BpfError | undefined> {
  try {
    await kernel.close(await make());
    return undefined;
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

/** Whether the kernel has programs of a type. */
export async function probeProgType(kernel: Bpf, type: ProgType): Promise<boolean> {
  const error = await attempt(kernel, () => kernel.progLoad({ ...loadAttr(type, returnZero), logLevel: 1 }));
  if (!error) return true;
  if (!hooking.has(type)) return false;
  // A type that the kernel does not know never reaches the verifier, which says in its log what cannot be hooked.
  return error.errno === Errno.ENOTSUPP || Boolean(error.verifierLog);
}

/** A BTF object with one type, `int`: what maps of local storage have as key and value. */
function intBtf(): Uint8Array {
  const strings = new TextEncoder().encode('\0int\0');
  const words = Uint32Array.of(1, (1 << 24) | 0, 4, (1 << 24) | 32);
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  view.setUint32(4, 24, true);
  view.setUint32(12, words.byteLength, true);
  view.setUint32(16, words.byteLength, true);
  view.setUint32(20, strings.length, true);
  const bytes = new Uint8Array(24 + words.byteLength + strings.length);
  bytes.set(header);
  bytes.set(new Uint8Array(words.buffer), 24);
  bytes.set(strings, 24 + words.byteLength);
  return bytes;
}

const PAGE = 4096;
const local: Partial<MapCreateAttr> = { maxEntries: 0, flags: MapFlag.NoPrealloc };

/** The shape of the smallest map of each type that is not four bytes of key, four of value and one entry. */
const mapShapes: Readonly<Partial<Record<MapType, Partial<MapCreateAttr>>>> = {
  [MapType.StackTrace]: { valueSize: 8 },
  [MapType.LpmTrie]: { keySize: 8, valueSize: 8, flags: MapFlag.NoPrealloc },
  [MapType.CgroupStorage]: { keySize: 16, valueSize: 8, maxEntries: 0 },
  [MapType.PercpuCgroupStorage]: { keySize: 16, valueSize: 8, maxEntries: 0 },
  [MapType.Queue]: { keySize: 0 },
  [MapType.Stack]: { keySize: 0 },
  [MapType.BloomFilter]: { keySize: 0 },
  [MapType.Ringbuf]: { keySize: 0, valueSize: 0, maxEntries: PAGE },
  [MapType.UserRingbuf]: { keySize: 0, valueSize: 0, maxEntries: PAGE },
  [MapType.Arena]: { keySize: 0, valueSize: 0, flags: MapFlag.Mmapable },
  [MapType.SkStorage]: local,
  [MapType.InodeStorage]: local,
  [MapType.TaskStorage]: local,
  [MapType.CgrpStorage]: local,
  [MapType.StructOps]: { btfVmlinuxValueTypeId: 1 },
};

/** Whether the kernel has maps of a type. */
export async function probeMapType(kernel: Bpf, type: MapType): Promise<boolean> {
  const attr: MapCreateAttr = { type, keySize: 4, valueSize: 4, maxEntries: 1, ...mapShapes[type] };
  const fds: Fd[] = [];
  try {
    if (type === MapType.ArrayOfMaps || type === MapType.HashOfMaps) {
      attr.innerMapFd = await kernel.mapCreate({
        type: MapType.Hash,
        keySize: 4,
        valueSize: 4,
        maxEntries: 1,
      });
      fds.push(attr.innerMapFd);
    }
    if (mapShapes[type] === local) {
      attr.btfFd = await kernel.btfLoad(intBtf());
      attr.btfKeyTypeId = 1;
      attr.btfValueTypeId = 1;
      fds.push(attr.btfFd);
    }
    const error = await attempt(kernel, () => kernel.mapCreate(attr));
    // Type 1 of the kernel's BTF is no structure of operations.
    return !error || (type === MapType.StructOps && error.errno === Errno.ENOTSUPP);
  } catch (error) {
    if (error instanceof BpfError) return false;
    throw error;
  } finally {
    for (const fd of fds) await kernel.close(fd);
  }
}

/** What verifiers have said of a helper that they do not know, or not for this type of program. */
const REFUSED = /invalid func |unknown func |program of this type cannot use helper /;

/** Whether programs of a type may call a helper; undefined for types whose helpers depend on what they hook. */
export async function probeHelper(kernel: Bpf, type: ProgType, id: number): Promise<boolean | undefined> {
  if (hooking.has(type)) return undefined;
  const call = code([CALL, 0, 0, id], [EXIT]);
  const error = await attempt(kernel, () => kernel.progLoad({ ...loadAttr(type, call), logLevel: 1 }));
  if (!error) return true;
  // Any other complaint is about the arguments, which this program does not set: the helper is there.
  return Boolean(error.verifierLog) && !REFUSED.test(error.verifierLog ?? '');
}

/** Programs that call these have the kernel write a warning to its log, or make room for what they print. */
const loud: ReadonlySet<string> = new Set(['trace_printk', 'trace_vprintk', 'probe_write_user']);

/** Whether a socket filter of these instructions is taken. */
const takes = async (kernel: Bpf, instructions: Uint8Array): Promise<boolean> =>
  !(await attempt(kernel, () => kernel.progLoad(loadAttr(ProgType.SocketFilter, instructions))));

async function probeMisc(kernel: Bpf): Promise<MiscFeatures> {
  const many = Array.from({ length: 4096 }, (): Row => [MOV64_IMM, 0, 0, 1]);
  const skip: readonly Row[] = [[MOV64_IMM, 0, 0, 1], [EXIT]];
  return {
    largeInsnLimit: await takes(kernel, code(...many, [EXIT])),
    boundedLoops: await takes(
      kernel,
      code([MOV64_IMM, 0, 0, 10], [SUB64_IMM, 0, 0, 1], [JNE_IMM, 0, -2, 0], [EXIT]),
    ),
    isaV2: await takes(kernel, code([MOV64_IMM], [JLT_IMM, 0, 1, 0], ...skip)),
    isaV3: await takes(kernel, code([MOV64_IMM], [JLT32_IMM, 0, 1, 0], ...skip)),
    isaV4: await takes(kernel, code([MOV64_IMM], [JEQ32_IMM, 0, 1, 1], [GOTOL, 0, 0, 1], ...skip)),
  };
}

export interface ProbeOptions {
  /** Also the helpers of every program type: some six thousand loads, a second or two. */
  helpers?: boolean;
  /** Also trace_printk, trace_vprintk and probe_write_user, which leave a trace in the kernel's log. */
  full?: boolean;
}

const numbersOf = <T extends number>(table: Readonly<Record<string, T>>): T[] =>
  Object.values(table).filter((value) => value !== 0);

/** Finds out what a kernel has. */
export async function probeFeatures(kernel: Bpf, options: ProbeOptions = {}): Promise<Features> {
  const mapTypes = new Map<MapType, boolean>();
  for (const type of numbersOf(MapType)) mapTypes.set(type, await probeMapType(kernel, type));
  const progTypes = new Map<ProgType, boolean>();
  for (const type of numbersOf(ProgType)) progTypes.set(type, await probeProgType(kernel, type));
  const helpers = new Map<ProgType, number[]>();
  for (const [type, there] of options.helpers ? progTypes : []) {
    if (!there || hooking.has(type)) continue;
    const found: number[] = [];
    for (const [id, name] of helperNames.entries()) {
      if (id === 0 || (loud.has(name) && !options.full)) continue;
      if (await probeHelper(kernel, type, id)) found.push(id);
    }
    helpers.set(type, found);
  }
  return { mapTypes, progTypes, helpers, misc: await probeMisc(kernel) };
}
