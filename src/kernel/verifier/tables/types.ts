// The shapes of the verifier's tables. Each fact of Linux 6.18 about helpers, contexts, maps and kfuncs is a row in
// this folder; the verifier, the loader, `feature probe` and the docs read the rows.

import type { AttachType, MapType, ProgType } from '../../../bpf/types.js';

// ---------------------------------------------------------------------------------------------- helpers

/** What a helper's argument must be (Linux: the base types of enum bpf_arg_type). */
export type ArgKind =
  /** Any initialised value; a pointer only where pointers may leak (ARG_ANYTHING). */
  | 'anything'
  /** A map, known when the program is verified. */
  | 'const-map-ptr'
  /** Memory of the map's key size. The map is an earlier argument. */
  | 'map-key'
  /** Memory of the map's value size. */
  | 'map-value'
  /** Memory whose size is the next argument, a `const-size` or `const-size-or-zero`. */
  | 'mem'
  /** Memory of `size` bytes. */
  | 'fixed-mem'
  /** Bytes of the `mem` before it, at least 1. */
  | 'const-size'
  | 'const-size-or-zero'
  /** Bytes to reserve; a known constant, which becomes the size of the memory returned. */
  | 'const-alloc-size-or-zero'
  /** The program's context. */
  | 'ctx'
  /** A bpf_spin_lock in a map value or an allocated object. */
  | 'spin-lock'
  /** Something that begins as a sock_common: sock_common, sock, tcp_sock, xdp_sock and trusted BTF pointers to these. */
  | 'sock-common'
  /** A full socket. */
  | 'socket'
  /** A BTF pointer to the kernel structure `btf`. */
  | 'btf-id'
  /** As `sock-common`, and BTF pointers whose structure begins with a sock_common. */
  | 'btf-id-sock-common'
  /** Address of a per-CPU kernel variable. */
  | 'percpu-btf-id'
  /** What bpf_ringbuf_reserve gave. */
  | 'ringbuf-mem'
  /** A static subprogram: the callback. */
  | 'func'
  /** Stack memory of the caller, handed to the callback. */
  | 'stack'
  /** A zero-terminated string in a frozen read-only map value. */
  | 'const-str'
  /** A bpf_timer in a map value. */
  | 'timer'
  /** Where a kptr lies: a field of a map value or of an allocated object. */
  | 'kptr-xchg-dest'
  /** A dynptr on the stack. */
  | 'dynptr';

export interface HelperArg {
  readonly kind: ArgKind;
  /** NULL is allowed (PTR_MAYBE_NULL). */
  readonly nullable?: true;
  /** The helper only reads the memory (MEM_RDONLY), so read-only memory will do. */
  readonly readOnly?: true;
  /** The helper writes the memory (MEM_WRITE). */
  readonly write?: true;
  /** The memory need not be initialised (MEM_UNINIT): the helper fills it. A dynptr must not be there yet. */
  readonly uninit?: true;
  /** The memory must be aligned to its size (MEM_ALIGNED). */
  readonly aligned?: true;
  /** The reference that the argument holds is given back (OBJ_RELEASE). */
  readonly release?: true;
  /** Bytes of a `fixed-mem`. */
  readonly size?: number;
  /** Name of the kernel structure (`btf-id`, `socket` kinds). Absent on a `btf-id` that depends on the map or the lock. */
  readonly btf?: string;
  /** The only kind of dynptr that it takes; absent: any. */
  readonly dynptr?: 'local' | 'ringbuf';
}

/** What a helper returns (Linux: the base types of enum bpf_return_type). */
export type ReturnKind =
  | 'integer'
  | 'void'
  | 'map-value'
  | 'socket'
  | 'tcp-sock'
  | 'sock-common'
  /** Memory whose size is the `const-alloc-size-or-zero` argument (RET_PTR_TO_RINGBUF_MEM). */
  | 'ringbuf-mem'
  /** Part of a dynptr's memory, as long as the constant `anything` argument before the flags says. */
  | 'dynptr-mem'
  /** What a per-CPU variable holds: a BTF pointer for a structure, memory of its size otherwise. */
  | 'mem-or-btf-id'
  | 'btf-id';

export interface HelperReturn {
  readonly kind: ReturnKind;
  readonly nullable?: true;
  readonly readOnly?: true;
  readonly trusted?: true;
  /** Name of the kernel structure of a `btf-id`; absent when it is that of an argument (bpf_kptr_xchg). */
  readonly btf?: string;
}

/** Programs of one type, of all its attach types or of some. */
export interface ProgramSelector {
  readonly type: ProgType;
  /** Expected attach types; absent: all that the type has. */
  readonly attach?: readonly AttachType[];
}

/** Flags of a signature that a variant may change. */
export interface HelperFlags {
  /** Only for programs with a GPL-compatible licence. */
  readonly gplOnly?: true;
  /** Packet pointers may be given as memory, key or value (pkt_access), where the program type allows it. */
  readonly packetAccess?: true;
  /** It may sleep, so only a sleepable program may call it; `when-sleepable`: it sleeps in such programs alone. */
  readonly mightSleep?: true | 'when-sleepable';
  /** Caller-saved registers other than r0 survive, when the JIT inlines it (allow_fastcall). */
  readonly fastcall?: true;
  /** Only in these attach points (kernel functions), for program types that attach to functions. */
  readonly allowedHooks?: HookSet;
}

/** A signature that differs for some programs. */
export interface HelperVariant extends HelperFlags {
  readonly programs: readonly ProgramSelector[];
  readonly args: readonly HelperArg[];
  readonly returns: HelperReturn;
}

export interface HelperSignature extends HelperFlags {
  /** BPF_FUNC_*. */
  readonly id: number;
  /** Without the `bpf_` prefix. */
  readonly name: string;
  readonly args: readonly HelperArg[];
  readonly returns: HelperReturn;
  /**
   * It may move the packet: packet pointers are invalid after it (bpf_helper_changes_pkt_data). `callers`: not in the
   * function that calls it, which does not go on, but in those that called this function (tail_call).
   */
  readonly changesPacket?: true | 'callers';
  /** What it returns is a reference that must be released. `map`: only for sockmap and sockhash. */
  readonly acquires?: true | 'sockmap';
  /** It returns its socket argument as another type, with the reference that the argument holds (is_ptr_cast_function). */
  readonly castsSocket?: true;
  /** It calls its `func` argument: `now`, before it returns, or `later`, in another context. */
  readonly callback?: 'now' | 'later';
  /** First kernel that has it, where known. */
  readonly since?: string;
  /** First match wins over the row itself. */
  readonly variants?: readonly HelperVariant[];
}

/** Named sets of kernel functions (see hooks.ts). */
export type HookSet = 'd-path' | 'sleepable-lsm' | 'sk-storage-tracing';

// --------------------------------------------------------------------------------------------- contexts

/** Which sizes an access to a field may have. Every access is aligned to its size and lies inside the field. */
export type SizeRule =
  /** One whole unit. */
  | 'exact'
  /** Any power of two up to the unit, inside one unit (bpf_ctx_narrow_access_ok). */
  | 'narrow'
  /** As `narrow`, but only at the field's own offset. */
  | 'narrow-at-start'
  /** One whole unit, or 8 bytes over two units (bpf_ctx_wide_access_ok). */
  | 'exact-or-wide'
  | 'narrow-or-wide'
  /** 1, 2, 4 or 8 bytes, anywhere inside the field. */
  | 'any';

/** What a load from the context gives instead of a number. */
export interface ContextPointer {
  readonly kind:
    | 'packet'
    | 'packet-meta'
    | 'packet-end'
    | 'flow-keys'
    | 'socket'
    | 'sock-common'
    | 'tp-buffer'
    /** Memory whose size is asked for when the program is attached (PTR_TO_BUF). */
    | 'buffer'
    | 'btf-id';
  readonly nullable?: true;
  readonly readOnly?: true;
  readonly trusted?: true;
  /** Kernel structure of a `btf-id`. */
  readonly btf?: string;
}

/** Who may read or write a field, and in which sizes. */
export interface FieldAccess {
  readonly sizes: SizeRule;
  /** Expected attach types that allow it; absent: all. */
  readonly attach?: readonly AttachType[];
  /** Needs CAP_BPF. */
  readonly capability?: 'bpf';
  /** Fewer bytes are refused. */
  readonly atLeast?: number;
  /** This many bytes at the field's offset are allowed as well, with what lies behind the field. */
  readonly orBytes?: number;
}

export interface ContextField {
  readonly name: string;
  readonly offset: number;
  /** Bytes. An array is one field. */
  readonly size: number;
  /** Bytes of an element of an array, or of what a narrow access is part of. Default: the field's size. */
  readonly unit?: number;
  readonly read?: FieldAccess;
  readonly write?: FieldAccess;
  /** A load gives a pointer. Packet pointers cannot be loaded with sign extension. */
  readonly yields?: ContextPointer;
}

/** A context with a layout of its own. What no field covers cannot be accessed. */
export interface FieldContext {
  readonly kind: 'fields';
  /** Its C name (`__sk_buff`). */
  readonly struct: string;
  readonly size: number;
  readonly fields: readonly ContextField[];
}

/** A context that is plain memory: pt_regs, a tracepoint's record, raw arguments. Accesses are aligned to their size. */
export interface MemoryContext {
  readonly kind: 'memory';
  readonly struct: string;
  /** First and last-plus-one byte that a program may see. */
  readonly from: number;
  readonly size: number;
  readonly writable: boolean;
  /** Ranges with rules of their own. */
  readonly fields?: readonly ContextField[];
}

/**
 * A context of 8-byte slots, one a parameter of the kernel function (or tracepoint) that is attached to, typed by
 * BTF (btf_ctx_access). Only reads; a pointer in 8 bytes, a number in its own size at most.
 */
export interface ArgumentContext {
  readonly kind: 'arguments';
  /** Most arguments. */
  readonly maxArgs: number;
  /** With these attach types the slot behind the last argument holds the return value. */
  readonly returnSlot: readonly AttachType[];
  /** With these attach types pointers are trusted; `all`: with every one. */
  readonly trusted: 'all' | readonly AttachType[];
}

/** The context of the program whose function is replaced (ext). */
export interface TargetContext {
  readonly kind: 'target';
}

export type ContextDefinition = FieldContext | MemoryContext | ArgumentContext | TargetContext;

/** What a program may return. */
export interface ReturnRule {
  /** Expected attach types that it is about; absent: the rest. */
  readonly attach?: readonly AttachType[];
  /** Smallest and largest value, both allowed; `any`; `hook`: see lsmReturn in hooks.ts. */
  readonly range: readonly [number, number] | 'any' | 'hook';
}

export interface ProgramRules {
  readonly type: ProgType;
  /** Expected attach types that a load may name (bpf_prog_load_check_attach); absent: Linux does not look. */
  readonly attachTypes?: readonly AttachType[];
  /** What expected attach type 0 stands for, where it is not one of attachTypes. */
  readonly attachDefault?: AttachType;
  readonly context: ContextDefinition;
  /** The structure behind the context in the kernel (bpf_cast_to_kern_ctx). */
  readonly kernelContext?: string;
  /** Loads through packet pointers, and stores. */
  readonly packet?: { readonly read: true; readonly write?: true };
  /**
   * Packet memory as a helper's memory, key or value: `any` helper, `none`; absent: those with packetAccess
   * (may_access_direct_pkt_data).
   */
  readonly packetToHelpers?: 'any' | 'none';
  /** LD_ABS and LD_IND are allowed (may_access_skb). */
  readonly packetLoads?: true;
  /** BPF_F_SLEEPABLE may be given; `always`: must be; or for these attach types. Absent: never. */
  readonly sleepable?: 'yes' | 'always' | readonly AttachType[];
  /** First match. */
  readonly returns: readonly ReturnRule[];
  /** It needs attach_btf_id: always, or for these attach types. */
  readonly attachBtf?: true;
  /** Needs CAP_NET_ADMIN or CAP_PERFMON beside CAP_BPF; `none`: not even that, where unprivileged BPF is on. */
  readonly capability?: 'net-admin' | 'perfmon' | 'both' | 'none';
}

// ------------------------------------------------------------------------------------------ maps, kfuncs

/** A field with a meaning of its own in a map's value (enum btf_field_type). */
export type ValueField =
  | 'spin-lock'
  | 'res-spin-lock'
  | 'timer'
  | 'workqueue'
  | 'task-work'
  | 'kptr'
  | 'refcount'
  | 'list-head'
  | 'rb-root'
  | 'uptr';

/** What programs may do with a map of a type. */
export interface MapUse {
  readonly type: MapType;
  /** The only helpers that take it, by name; absent: those that are not bound to other map types. */
  readonly helpers?: readonly string[];
  /** What a lookup gives, once it is not NULL: the value, the inner map, a socket (with a reference), an XDP socket. */
  readonly lookup?: 'value' | 'map' | 'socket' | 'xdp-sock';
  /** bpf_for_each_map_elem works on it. */
  readonly forEach?: true;
  /** The address of its first value may be a constant of the program (BPF_PSEUDO_MAP_VALUE). */
  readonly directValue?: true;
  /** Sleepable programs may use it. */
  readonly sleepable?: true;
  /** No program may use it. */
  readonly notInPrograms?: true;
  /** Fields that its value may have. */
  readonly fields?: readonly ValueField[];
}

/** KF_* of a kfunc. */
export type KfuncFlag =
  /** It returns a reference. */
  | 'acquire'
  /** It takes a reference back. */
  | 'release'
  /** It may return NULL. */
  | 'retNull'
  /** Its pointers must be trusted, and not NULL unless the parameter says so. */
  | 'trustedArgs'
  | 'sleepable'
  /** Its pointers may be RCU-protected; the program has made sure that they are not NULL. */
  | 'rcu'
  /** It must be called inside an RCU read section. */
  | 'rcuProtected'
  | 'fastcall'
  /** Needs CAP_SYS_BOOT. */
  | 'destructive'
  /** It returns, or takes as its first or second argument, an address of the arena. */
  | 'arenaReturn'
  | 'arenaArg1'
  | 'arenaArg2';

/** Flags that are set; `iterator`: which of an iterator's three functions it is (KF_ITER_*). */
export type KfuncFlags = Readonly<
  Partial<Record<KfuncFlag, true>> & { iterator?: 'new' | 'next' | 'destroy' }
>;

/** Where a kfunc is registered (BTF_KFUNC_HOOK_*); which program types belong to a hook is in kfuncs.ts. */
export type KfuncHook =
  | 'common'
  | 'xdp'
  | 'tc'
  | 'struct-ops'
  | 'tracing'
  | 'syscall'
  | 'fmod-ret'
  | 'cgroup'
  | 'sched-act'
  | 'sk-skb'
  | 'socket-filter'
  | 'lwt'
  | 'netfilter'
  | 'kprobe';

/** What a hook's programs must be beside that. */
export type KfuncFilter =
  | 'lsm'
  /** An iterator over TCP or UDP sockets. */
  | 'iterator'
  /** A probe of kernel or user functions with a session. */
  | 'session'
  /** An XDP program loaded for a device. */
  | 'device-bound';

export interface Kfunc {
  readonly name: string;
  readonly flags: KfuncFlags;
  readonly hooks: readonly KfuncHook[];
  readonly filter?: KfuncFilter;
  /** It calls a function of the program: `now`, before it returns, or `later`, in another context. */
  readonly callback?: 'now' | 'later';
  /** Packet pointers are invalid after it. */
  readonly changesPacket?: true;
}
