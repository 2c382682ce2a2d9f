// What the program commands of bpf(2) take and give.

import type { Fd } from './fd.js';
import type { AttachType, ProgType } from './types.js';

/** Receives a log, as `log_buf` does: the kernel fills it in whether the load succeeds or fails. */
export interface Log {
  text: string;
}

export interface ProgLoadAttr {
  type: ProgType;
  /** Raw 8-byte instructions, little-endian; map operands hold descriptors (BPF_PSEUDO_MAP_FD and the like). */
  instructions: Uint8Array;
  license: string;
  /** At most 15 letters, digits, `_` and `.`. */
  name?: string;
  /** ProgFlag bits. */
  flags?: number;
  expectedAttachType?: AttachType;
  /** LINUX_VERSION_CODE; kprobe programs of kernels before 5.0 must name theirs. */
  kernelVersion?: number;
  /** The device that an offloaded or device-bound program is for. */
  ifindex?: number;
  /** What a tracing, lsm, ext or struct_ops program hooks: a type id in the kernel's BTF, or in that of `attachProgFd` or `attachBtfObjFd`. */
  attachBtfId?: number;
  /** The program that an ext, fentry or fexit program hooks. */
  attachProgFd?: Fd;
  /** BTF of the kernel module that has what the program hooks. */
  attachBtfObjFd?: Fd;
  progBtfFd?: Fd;
  /** struct bpf_func_info[]: { u32 insn_off (slots), u32 type_id }. */
  funcInfo?: Uint8Array;
  /** struct bpf_line_info[]: { u32 insn_off (slots), u32 file_name_off, u32 line_off, u32 line_col }. */
  lineInfo?: Uint8Array;
  /** struct bpf_core_relo[]: { u32 insn_off (bytes), u32 type_id, u32 access_str_off, u32 kind }, for the kernel to relocate. */
  coreRelocations?: Uint8Array;
  /** Maps and BTF objects that instructions refer to by index (BPF_PSEUDO_MAP_IDX and the `off` of kfunc calls). */
  fdArray?: readonly Fd[];
  /** The program keeps every map of `fdArray`, whether its instructions use it or not (Linux 6.14). */
  fdArrayBind?: boolean;
  /** With ProgFlag.TokenFd. */
  tokenFd?: Fd;
  /** 0 none, 1 branches, 2 every instruction, 4 statistics. */
  logLevel?: number;
  /** Receives the verifier's log. */
  log?: Log;
}

export interface ProgTestRunAttr {
  dataIn?: Uint8Array;
  /** Room for the output: ENOSPC when the packet needs more. By default, and for 0, all is returned. */
  dataSizeOut?: number;
  ctxIn?: Uint8Array;
  ctxSizeOut?: number;
  /** How often to run; 0 and 1 both run once. */
  repeat?: number;
  flags?: number;
  cpu?: number;
  /** Packets at a time, with BPF_F_TEST_XDP_LIVE_FRAMES. */
  batchSize?: number;
}

export interface ProgTestRunResult {
  /** The program's return value, unsigned 32 bits. */
  retval: number;
  /** Mean nanoseconds of one run. */
  duration: number;
  dataOut: Uint8Array;
  ctxOut: Uint8Array;
}

/** Many packets in one command; the emulated kernel runs them inside one call, others one by one. */
export interface PacketBatch {
  /** Number of packets. */
  count: number;
  /** The packets, one after the other. */
  data: Uint8Array;
  /** `count + 1` byte offsets into `data`. */
  offsets: Uint32Array;
  /** Return the packets as the program left them. */
  wantData?: boolean;
  /**
   * When each packet arrives, in nanoseconds on a clock that starts with the capture: the emulated kernel then shows
   * the programs this clock, so that a run does not depend on how fast it goes. The real kernel has its own.
   */
  times?: Float64Array;
}

export interface PacketBatchResult {
  /** One return value a packet, unsigned; meaningless where a fault is listed. */
  retvals: Uint32Array;
  /** Nanoseconds spent in the program, all packets together. */
  duration: number;
  /** With `wantData`: the packets afterwards, laid out as in PacketBatch. */
  data?: Uint8Array;
  offsets?: Uint32Array;
  /** Runs that were ended by a fault (checked mode), in ascending order. */
  faults: { index: number; fault: RunFault }[];
}

/** Why a run of a program that was not verified ended early. */
export interface RunFault {
  kind:
    | 'null-dereference'
    | 'out-of-bounds'
    | 'read-only'
    | 'budget'
    | 'bad-argument'
    | 'stack-overflow'
    /** The kernel did not run the program on this packet (batches only); no instruction is to blame. */
    | 'not-run';
  /** What happened, for a person: address, size, which memory. */
  message: string;
  /** Instruction, in 8-byte slots from the program's start. */
  slot: number;
  /** Id and name of the program that faulted (after a tail call, not the one that was started). */
  progId: number;
  progName: string;
  /** The instruction as the kernel prints it. */
  instruction: string;
  /** Source line, when the program has line information. */
  source?: { file: string; line: number; column: number; text: string };
}

export interface ProgInfo {
  id: number;
  type: ProgType;
  name: string;
  /** 16 hex digits. */
  tag: string;
  gplCompatible: boolean;
  /** Bytes of instructions after the kernel's rewriting. */
  bytesXlated: number;
  /** Bytes of machine code (for the emulated kernel, of WebAssembly); 0 when interpreted. */
  bytesJited: number;
  mapIds: number[];
  btfId: number;
  /** Seconds since the epoch. */
  loadedAt: number;
  uid: number;
  /** Bytes charged. */
  memlock: number;
  /** Instructions that the verifier looked at. */
  verifiedInsns: number;
  /** What it hooks: a BTF object (0: the kernel's own) and a type in it; 0 for programs that hook nothing by BTF. */
  attachBtfObjId: number;
  attachBtfId: number;
  /** The device that it is offloaded or bound to; 0 otherwise. */
  ifindex: number;
  /** Nanoseconds spent in it and how often it ran, while statistics were enabled. */
  runTimeNs: bigint;
  runCnt: bigint;
  /** Runs that did not happen because it was running already. */
  recursionMisses: bigint;
}

/**
 * What a program is made of, as `bpftool prog dump` needs it. An array is empty where the kernel has nothing or will
 * not say it (kernel addresses need CAP_PERFMON and kernel.kptr_restrict below 2).
 */
export interface ProgDump {
  /** Instructions after the kernel's rewriting, 8 bytes each. */
  xlated: Uint8Array;
  /** Machine code of all functions, one after the other. */
  jited: Uint8Array;
  /** Where each function begins in the kernel's address space. */
  jitedKsyms: BigUint64Array;
  /** Bytes of machine code of each function. */
  jitedFuncLens: Uint32Array;
  /** struct bpf_func_info[], `funcInfoRecSize` bytes each; instruction offsets count rewritten slots. */
  funcInfo: Uint8Array;
  funcInfoRecSize: number;
  /** struct bpf_line_info[], `lineInfoRecSize` bytes each; instruction offsets count rewritten slots. */
  lineInfo: Uint8Array;
  lineInfoRecSize: number;
  /** The address of the machine code of each record of `lineInfo`. */
  jitedLineInfo: BigUint64Array;
  /** The tag of each function, 16 hex digits. */
  progTags: string[];
}

/** What BPF_TASK_FD_QUERY says of a perf event's descriptor. */
export interface TaskFdInfo {
  progId: number;
  fdType: 'raw_tracepoint' | 'tracepoint' | 'kprobe' | 'kretprobe' | 'uprobe' | 'uretprobe';
  /** The tracepoint, the function or the file. */
  name: string;
  probeOffset: bigint;
  probeAddr: bigint;
}
