// The numbers of the BPF instruction set: RFC 9669, and what Linux adds to it (up to 6.18).
//
// The opcode byte of arithmetic and jumps          The opcode byte of loads and stores
//
//    7 6 5 4   3        2 1 0                         7 6 5   4 3    2 1 0
//   +---------+--------+-------+                     +-------+------+-------+
//   | code    | source | class |                     | mode  | size | class |
//   +---------+--------+-------+                     +-------+------+-------+
//
// Every constant here stands already shifted into its place, so that an opcode is an OR of three of them.

/** Instruction class, the low three bits (RFC 9669, section 3.2). */
export const InsnClass = {
  LD: 0x00,
  LDX: 0x01,
  ST: 0x02,
  STX: 0x03,
  ALU: 0x04,
  JMP: 0x05,
  JMP32: 0x06,
  ALU64: 0x07,
} as const;

/** Where the second operand of arithmetic and jumps comes from: the immediate (K) or the source register (X). */
export const Source = { K: 0x00, X: 0x08 } as const;

/** Arithmetic operations (RFC 9669, section 4.1). */
export const AluOp = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
  MOV: 0xb0,
  ARSH: 0xc0,
  END: 0xd0,
} as const;

/** Jump operations (RFC 9669, section 4.3); JCOND is Linux's `may_goto`. */
export const JumpOp = {
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  JCOND: 0xe0,
} as const;

/** Size of a memory access: 4, 2, 1 and 8 bytes (RFC 9669, section 5). */
export const Size = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

/** Mode of a load or store (RFC 9669, section 5). */
export const Mode = {
  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  MEMSX: 0x80,
  ATOMIC: 0xc0,
} as const;

/** The operation of an atomic instruction, in its immediate (RFC 9669, section 5.3; the last two are Linux 6.15's). */
export const AtomicOp = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  /** Added to one of the above: the old value goes to the source register. */
  FETCH: 0x01,
  XCHG: 0xe1,
  CMPXCHG: 0xf1,
  LOAD_ACQ: 0x100,
  STORE_REL: 0x110,
} as const;

/** What the source field of `ld_imm64` says about its immediates (RFC 9669, section 5.4; `linux/bpf.h`). */
export const PseudoSource = {
  /** A plain 64-bit number. */
  NONE: 0,
  /** imm: a map's file descriptor; loads the map's address. */
  MAP_FD: 1,
  /** imm: a map's file descriptor, upper imm: an offset into its first value. */
  MAP_VALUE: 2,
  /** imm: the BTF id of a kernel variable, upper imm: the module's BTF file descriptor. */
  BTF_ID: 3,
  /** imm: the distance to a subprogram in slots, from the next instruction. */
  FUNC: 4,
  /** imm: an index into the `fd_array` of the load. */
  MAP_IDX: 5,
  /** imm: an index into `fd_array`, upper imm: an offset into the map's first value. */
  MAP_IDX_VALUE: 6,
} as const;

/** What the source field of `call` says about its immediate. */
export const CallSource = {
  /** imm: the number of a helper. */
  HELPER: 0,
  /** imm: the distance to a subprogram in slots, from the next instruction. */
  LOCAL: 1,
  /** imm: the BTF id of a kernel function, offset: an index into `fd_array` of its module's BTF. */
  KFUNC: 2,
} as const;

/** Values of the offset field that change what a register move or a division means. */
export const OffsetCode = {
  /** Signed division and modulo. */
  SIGNED: 1,
  /** MOV that converts between address spaces (ALU64, register). */
  ADDR_SPACE_CAST: 1,
} as const;

/** Bytes in one instruction slot. */
export const SLOT_BYTES = 8;

/** The number of registers, r0 to r10; r10 is the read-only frame pointer. */
export const REGISTERS = 11;

/** The frame pointer. */
export const FRAME_POINTER = 10;
