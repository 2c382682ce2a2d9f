// The verifier's structures in a linear memory of its own: what is known of a register, a stack slot, a frame, and of
// the whole machine at one instruction. Every offset is here, once; the build reads them out for TypeScript.
//
//   State    | frame addresses (8) | position, locks, history ...
//   Frame    | call site, callback ... | r0..r10 | Slot 0 (below the frame pointer), Slot 1 ...
//   Slot     | 8 kinds of byte | Reg: what was spilled there, or the object that lives there
//   Reg      | type, offset, object (what equality asks for) | tnum | bounds | ids

/** What a register (or a spilled value) is known to hold. */
@unmanaged
export class Reg {
  /** RegType with its flags. */
  type: u32;
  /** Fixed part of a pointer's offset; of a scalar: what was added to the one with the same id. */
  off: i32;
  /** Four words whose meaning the type gives: see the OBJECT_ names in types.ts. */
  object0: u32;
  object1: u32;
  object2: u32;
  object3: u32;
  /** Bits known to be one, and bits not known (tnum). */
  value: u64;
  mask: u64;
  smin: i64;
  smax: i64;
  umin: u64;
  umax: u64;
  s32min: i32;
  s32max: i32;
  u32min: u32;
  u32max: u32;
  id: u32;
  refObjId: u32;
  frameno: u32;
  /** One more than the instruction that wrote the lower half only; 0: the whole register was written. */
  subregDef: u32;
  precise: u32;
  reserved: u32;
}

/** Eight bytes of stack. */
@unmanaged
export class Slot {
  /** SLOT_ of each byte; byte 7 is the one at the lowest address' other end, as in the kernel's spill rule. */
  bytes: u64;
}

export const Reg_size: u32 = offsetof<Reg>();
export const Slot_reg: u32 = 8;
export const Slot_size: u32 = 8 + offsetof<Reg>();

@unmanaged
export class Frame {
  callsite: i32;
  frameno: u32;
  subprog: u32;
  asyncEntries: u32;
  inCallback: u32;
  inAsyncCallback: u32;
  inExceptionCallback: u32;
  callbackDepth: u32;
  /** Range that a callback may return. */
  returnMin: i32;
  returnMax: i32;
  /** Slots in use, from the frame pointer down. */
  slots: u32;
  capacity: u32;
}

export const Frame_regs: u32 = offsetof<Frame>();
export const Frame_stack: u32 = offsetof<Frame>() + 11 * offsetof<Reg>();

/** Something acquired: a reference, a lock, disabled interrupts. */
@unmanaged
export class Ref {
  kind: u32;
  id: u32;
  insn: i32;
  /** What is locked: a map (number + 1) or a BTF object. */
  object: u32;
}

export const Ref_size: u32 = offsetof<Ref>();

/** One step of the path that led to a state: which instruction, from where, and what it did to the stack. */
@unmanaged
export class Step {
  insn: u32;
  previous: u32;
  flags: u32;
  reserved: u32;
  /** Registers and slots that shared an id, packed as in linked.ts. */
  linked: u64;
}

export const Step_size: u32 = offsetof<Step>();

@unmanaged
export class State {
  frame0: usize;
  frame1: usize;
  frame2: usize;
  frame3: usize;
  frame4: usize;
  frame5: usize;
  frame6: usize;
  frame7: usize;
  current: u32;
  parent: usize;
  /** Paths that start here and are not done. */
  branches: u32;
  /** The instruction that this checkpoint stands before. */
  insn: i32;
  speculative: u32;
  sleepable: u32;
  cleaned: u32;
  refs: usize;
  refCount: u32;
  refCapacity: u32;
  activeLocks: u32;
  preemptLocks: u32;
  rcuLocks: u32;
  irqId: u32;
  lockId: u32;
  lockObject: u32;
  firstInsn: i32;
  lastInsn: i32;
  depth: u32;
  callbackUnroll: u32;
  mayGotoDepth: u32;
  history: usize;
  historyCount: u32;
  historyCapacity: u32;
  /** The stored state that this one was found equal to (loops whose precision is not settled yet). */
  equal: usize;
  jumps: u32;
}

export const State_size: u32 = offsetof<State>();

// What a byte of stack holds.
export const SLOT_INVALID: u32 = 0;
export const SLOT_SPILL: u32 = 1;
export const SLOT_MISC: u32 = 2;
export const SLOT_ZERO: u32 = 3;
export const SLOT_DYNPTR: u32 = 4;
export const SLOT_ITER: u32 = 5;
export const SLOT_IRQ_FLAG: u32 = 6;

// Types of registers. The lower byte says what, the rest how.
export const NOT_INIT: u32 = 0;
export const SCALAR: u32 = 1;
export const CTX: u32 = 2;
export const MAP_PTR: u32 = 3;
export const MAP_VALUE: u32 = 4;
export const MAP_KEY: u32 = 5;
export const STACK: u32 = 6;
export const PACKET_META: u32 = 7;
export const PACKET: u32 = 8;
export const PACKET_END: u32 = 9;
export const FLOW_KEYS: u32 = 10;
export const SOCKET: u32 = 11;
export const SOCK_COMMON: u32 = 12;
export const TCP_SOCK: u32 = 13;
export const TP_BUFFER: u32 = 14;
export const XDP_SOCK: u32 = 15;
export const BTF_ID: u32 = 16;
export const MEM: u32 = 17;
export const ARENA: u32 = 18;
export const BUF: u32 = 19;
export const FUNC: u32 = 20;
export const DYNPTR: u32 = 21;
export const BASE_TYPE: u32 = 0xff;

export const MAYBE_NULL: u32 = 1 << 8;
export const RDONLY: u32 = 1 << 9;
export const RINGBUF: u32 = 1 << 10;
export const USER: u32 = 1 << 11;
export const PERCPU: u32 = 1 << 12;
export const UNTRUSTED: u32 = 1 << 13;
export const ALLOC: u32 = 1 << 14;
export const TRUSTED: u32 = 1 << 15;
export const RCU: u32 = 1 << 16;
export const NON_OWN_REF: u32 = 1 << 17;
export const DYNPTR_LOCAL: u32 = 1 << 18;
export const DYNPTR_RINGBUF: u32 = 1 << 19;
export const DYNPTR_SKB: u32 = 1 << 20;
export const DYNPTR_XDP: u32 = 1 << 21;
export const DYNPTR_SKB_META: u32 = 1 << 22;

/** Set in a scalar's id: `off` was added to the scalar that has the id without it, in 64 or in 32 bits. */
export const ADD_CONST64: u32 = 0x80000000;
export const ADD_CONST32: u32 = 0x40000000;
export const ADD_CONST: u32 = 0xc0000000;

// Offsets for TypeScript.
export const Reg_type: u32 = offsetof<Reg>('type');
export const Reg_off: u32 = offsetof<Reg>('off');
export const Reg_object0: u32 = offsetof<Reg>('object0');
export const Reg_object1: u32 = offsetof<Reg>('object1');
export const Reg_object2: u32 = offsetof<Reg>('object2');
export const Reg_object3: u32 = offsetof<Reg>('object3');
export const Reg_value: u32 = offsetof<Reg>('value');
export const Reg_mask: u32 = offsetof<Reg>('mask');
export const Reg_smin: u32 = offsetof<Reg>('smin');
export const Reg_smax: u32 = offsetof<Reg>('smax');
export const Reg_umin: u32 = offsetof<Reg>('umin');
export const Reg_umax: u32 = offsetof<Reg>('umax');
export const Reg_s32min: u32 = offsetof<Reg>('s32min');
export const Reg_s32max: u32 = offsetof<Reg>('s32max');
export const Reg_u32min: u32 = offsetof<Reg>('u32min');
export const Reg_u32max: u32 = offsetof<Reg>('u32max');
export const Reg_id: u32 = offsetof<Reg>('id');
export const Reg_refObjId: u32 = offsetof<Reg>('refObjId');
export const Reg_frameno: u32 = offsetof<Reg>('frameno');
export const Reg_subregDef: u32 = offsetof<Reg>('subregDef');
export const Reg_precise: u32 = offsetof<Reg>('precise');

export const Frame_callsite: u32 = offsetof<Frame>('callsite');
export const Frame_frameno: u32 = offsetof<Frame>('frameno');
export const Frame_subprog: u32 = offsetof<Frame>('subprog');
export const Frame_asyncEntries: u32 = offsetof<Frame>('asyncEntries');
export const Frame_inCallback: u32 = offsetof<Frame>('inCallback');
export const Frame_inAsyncCallback: u32 = offsetof<Frame>('inAsyncCallback');
export const Frame_inExceptionCallback: u32 = offsetof<Frame>('inExceptionCallback');
export const Frame_callbackDepth: u32 = offsetof<Frame>('callbackDepth');
export const Frame_returnMin: u32 = offsetof<Frame>('returnMin');
export const Frame_returnMax: u32 = offsetof<Frame>('returnMax');
export const Frame_slots: u32 = offsetof<Frame>('slots');

export const Ref_kind: u32 = offsetof<Ref>('kind');
export const Ref_id: u32 = offsetof<Ref>('id');
export const Ref_insn: u32 = offsetof<Ref>('insn');
export const Ref_object: u32 = offsetof<Ref>('object');

export const Step_insn: u32 = offsetof<Step>('insn');
export const Step_previous: u32 = offsetof<Step>('previous');
export const Step_flags: u32 = offsetof<Step>('flags');
export const Step_linked: u32 = offsetof<Step>('linked');

export const State_current: u32 = offsetof<State>('current');
export const State_parent: u32 = offsetof<State>('parent');
export const State_branches: u32 = offsetof<State>('branches');
export const State_insn: u32 = offsetof<State>('insn');
export const State_speculative: u32 = offsetof<State>('speculative');
export const State_sleepable: u32 = offsetof<State>('sleepable');
export const State_cleaned: u32 = offsetof<State>('cleaned');
export const State_refs: u32 = offsetof<State>('refs');
export const State_refCount: u32 = offsetof<State>('refCount');
export const State_activeLocks: u32 = offsetof<State>('activeLocks');
export const State_preemptLocks: u32 = offsetof<State>('preemptLocks');
export const State_rcuLocks: u32 = offsetof<State>('rcuLocks');
export const State_irqId: u32 = offsetof<State>('irqId');
export const State_lockId: u32 = offsetof<State>('lockId');
export const State_lockObject: u32 = offsetof<State>('lockObject');
export const State_firstInsn: u32 = offsetof<State>('firstInsn');
export const State_lastInsn: u32 = offsetof<State>('lastInsn');
export const State_depth: u32 = offsetof<State>('depth');
export const State_callbackUnroll: u32 = offsetof<State>('callbackUnroll');
export const State_mayGotoDepth: u32 = offsetof<State>('mayGotoDepth');
export const State_history: u32 = offsetof<State>('history');
export const State_historyCount: u32 = offsetof<State>('historyCount');
export const State_equal: u32 = offsetof<State>('equal');

export const NOT_EXACT: u32 = 0;
export const EXACT: u32 = 1;
export const RANGE_WITHIN: u32 = 2;
