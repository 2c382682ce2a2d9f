// The waist: the bpf(2) contract. Two kernels implement it (the emulated one and the real one);
// everything above is written once. Neither side knows the other.
//
// Every command is asynchronous, so that a kernel may live in another process or in a browser's worker.
// Keys and values are bytes in the machine's (little-endian) order, as bpf(2) has them: a per-CPU value is
// one 8-byte-aligned slot for each possible CPU, one after the other.

import type { AttachType, MapType, ProgType } from './types.js';

/** A descriptor of a map, program or BTF object. */
export type Fd = number;

export interface MapCreateAttr {
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags?: number;
  name?: string;
  innerMapFd?: Fd;
  numaNode?: number;
  btfFd?: Fd;
  btfKeyTypeId?: number;
  btfValueTypeId?: number;
  mapExtra?: bigint;
}

export interface ProgLoadAttr {
  type: ProgType;
  /** Raw 8-byte instructions, little-endian; map operands hold descriptors (BPF_PSEUDO_MAP_FD and the like). */
  instructions: Uint8Array;
  license: string;
  name?: string;
  flags?: number;
  expectedAttachType?: AttachType;
  kernelVersion?: number;
  attachBtfId?: number;
  progBtfFd?: Fd;
  /** struct bpf_func_info[]: { u32 insn_off (slots), u32 type_id }. */
  funcInfo?: Uint8Array;
  /** struct bpf_line_info[]: { u32 insn_off (slots), u32 file_name_off, u32 line_off, u32 line_col }. */
  lineInfo?: Uint8Array;
  /** 0 none, 1 branches, 2 every instruction, 4 statistics. */
  logLevel?: number;
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

/** One line of trace_pipe. */
export interface TraceEvent {
  /** Task name and process id of whoever ran the program. */
  task: string;
  pid: number;
  cpu: number;
  /** Nanoseconds since the kernel started. */
  timestamp: bigint;
  /** The printed text, without a trailing newline. */
  text: string;
}

export interface MapInfo {
  id: number;
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  name: string;
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** Bytes charged. */
  memlock: number;
  frozen: boolean;
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
}

/** The bpf(2) commands. Every method fails with a BpfError that has Linux's errno. */
export interface Bpf {
  mapCreate(attr: MapCreateAttr): Promise<Fd>;
  /** ENOENT when the key is not there. */
  mapLookupElem(map: Fd, key: Uint8Array, flags?: number): Promise<Uint8Array>;
  mapUpdateElem(map: Fd, key: Uint8Array, value: Uint8Array, flags?: number): Promise<void>;
  mapDeleteElem(map: Fd, key: Uint8Array): Promise<void>;
  /** The key after `key`, the first for null; ENOENT after the last. */
  mapGetNextKey(map: Fd, key: Uint8Array | null): Promise<Uint8Array>;
  mapFreeze(map: Fd): Promise<void>;
  mapInfo(map: Fd): Promise<MapInfo>;
  progLoad(attr: ProgLoadAttr): Promise<Fd>;
  progTestRun(prog: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult>;
  progRunBatch(prog: Fd, batch: PacketBatch): Promise<PacketBatchResult>;
  progInfo(prog: Fd): Promise<ProgInfo>;
  btfLoad(btf: Uint8Array): Promise<Fd>;
  /** Number of possible CPUs: the number of slots in a per-CPU value. */
  possibleCpus(): Promise<number>;
  /** Calls `listener` for each event from now on; disposing ends that. */
  trace(listener: (event: TraceEvent) => void): Promise<Disposable>;
  /** Gives the descriptor back; the object goes with its last reference. */
  close(fd: Fd): Promise<void>;
}
