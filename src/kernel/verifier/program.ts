// What the verifier is given: the program, and the world it is loaded into; and what it answers.

import type { AttachType, MapType, ProgType } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import type { BtfRecord } from './record.js';
import type { RewriteFacts } from './rewrites/facts.js';

/** A map as the verifier sees it. */
export interface VerifierMap {
  readonly id: number;
  readonly name: string;
  /** What an `ld_imm64` of it loads, as the log shows it. */
  readonly address?: bigint;
  readonly type: MapType;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** MapFlag bits. */
  readonly flags: number;
  readonly frozen: boolean;
  /** Whoever made it may not be trusted with speculation (no CAP_PERFMON): its lookups are guarded. */
  readonly speculative?: boolean;
  /** Types of key and value. */
  readonly btf?: Btf;
  readonly btfKeyTypeId?: number;
  readonly btfValueTypeId?: number;
  /** Special fields of the value: locks, timers, kernel pointers, lists and trees. */
  readonly record?: BtfRecord;
  /** What an element of a map of maps looks like. */
  readonly inner?: VerifierMap;
  /** `size` (1, 2, 4, 8) bytes at `offset` of the one value of a frozen read-only array, little-endian. */
  readonly readConstant?: (offset: number, size: number) => bigint | undefined;
}

/** Where descriptors lead, who asks, and what the kernel is. */
export interface Environment {
  map(fd: number): VerifierMap | undefined;
  btf(fd: number): Btf | undefined;
  /** The kernel's own types; undefined when there are none. */
  readonly kernelTypes?: () => Btf | undefined;
  readonly capabilities: Capabilities;
  /** What the kernel was built without; absent: nothing. */
  readonly lacking?: Lacking;
  /** Possible CPUs. */
  readonly cpus: number;
  /** 0, 1, 2, 4 and their sums. */
  readonly logLevel: number;
}

/** Parts of Linux that a kernel may go without. */
export interface Lacking {
  /** Addresses of variables: its symbol table has functions alone (CONFIG_KALLSYMS_ALL). */
  readonly dataSymbols?: boolean;
  /** Names of helpers. */
  readonly helpers?: readonly string[];
  readonly programTypes?: readonly ProgType[];
}

/** What the one who loads may do; each is implied by CAP_SYS_ADMIN. */
export interface Capabilities {
  /** CAP_BPF: helpers, loops, subprograms, precise scalars. */
  readonly bpf: boolean;
  /** CAP_PERFMON: pointers may be shown, no protection against speculation. */
  readonly perfmon: boolean;
  readonly netAdmin: boolean;
  readonly sysAdmin: boolean;
}

export interface ProgramToVerify {
  readonly type: ProgType;
  readonly expectedAttachType: AttachType;
  readonly name: string;
  /** 8-byte slots, little-endian, with descriptors where maps are meant. */
  readonly instructions: Uint8Array;
  readonly license: string;
  /** BPF_F_* of the load. */
  readonly flags: number;
  readonly progBtfFd?: number;
  readonly funcInfo?: Uint8Array;
  readonly lineInfo?: Uint8Array;
  /** Function, tracepoint or structure of the kernel (or of `attachProgram`) that it attaches to. */
  readonly attachBtfId?: number;
  /** The program that it attaches to, or the kernel module's BTF that attachBtfId is an id of. */
  readonly attachProgFd?: number;
  readonly attachBtfObjFd?: number;
  readonly fdArray?: readonly number[];
}

/** What became of a program. */
export interface Verdict {
  readonly accepted: boolean;
  /** 0, or Linux's errno. */
  readonly errno: number;
  readonly log: string;
  /** Instructions looked at, on all paths. */
  readonly processed: number;
  readonly totalStates: number;
  readonly peakStates: number;
  readonly maxStatesPerInsn: number;
  readonly markRead: number;
  /** Bytes of context, from its beginning, that it looks at. */
  readonly contextSize: number;
  /** Bytes of stack, by subprogram. */
  readonly stackDepths: readonly number[];
  /** Most bytes that the states took. */
  readonly memory: number;
  /** Of an accepted program: what it is rewritten by (rewrites/). */
  readonly facts?: RewriteFacts;
  /** The instruction (slot) at which it was rejected. */
  readonly at?: number;
}
