// What a row of the instruction table says about one instruction: the rule of each field, the way it is written and
// what it does. The rows themselves are in table.ts.

/** What an instruction does with the register that a field names. */
export type RegisterUse = 'read' | 'write' | 'update';

/** What a field may hold: exactly this number, a register, or a number of that meaning. */
export type FieldRule =
  | number
  | RegisterUse
  /** A signed displacement in bytes from a base register. */
  | 'displacement'
  /** A signed distance in slots, counted from the slot after this instruction. */
  | 'distance'
  /** An index into the `fd_array` of a program load: the BTF of the module that has the function. */
  | 'module'
  /** Any 32-bit value. */
  | 'value';

export type FieldName = 'dst' | 'src' | 'offset' | 'imm';

/** Binary arithmetic; `sdiv` and `smod` are the signed forms. */
export type AluName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'or'
  | 'and'
  | 'lsh'
  | 'rsh'
  | 'mod'
  | 'smod'
  | 'xor'
  | 'mov'
  | 'arsh';

/** Conditions; `s` ones compare signed numbers, `set` is true when the two have a bit in common. */
export type ConditionName = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'sgt' | 'sge' | 'slt' | 'sle' | 'set';

export type AtomicName = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg';

/** The second operand of arithmetic, branches and stores. */
export type Operand = 'imm' | 'reg';

/** Bytes of a memory access. */
export type AccessSize = 1 | 2 | 4 | 8;

/** What an instruction does; `bits` is the width of an operation, `size` the bytes of a memory access. */
export type Semantics =
  | { readonly kind: 'alu'; readonly op: AluName; readonly bits: 32 | 64; readonly operand: Operand }
  | { readonly kind: 'neg'; readonly bits: 32 | 64 }
  /** Move with sign extension from `from` bits. */
  | { readonly kind: 'movsx'; readonly bits: 32 | 64; readonly from: 8 | 16 | 32 }
  /** To little-endian, to big-endian, or swap always; the result is truncated to `bits`. */
  | { readonly kind: 'byteOrder'; readonly to: 'le' | 'be' | 'swap'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'addrSpaceCast' }
  | { readonly kind: 'loadImm64'; readonly pseudo: number }
  | { readonly kind: 'load'; readonly size: AccessSize; readonly signed: boolean }
  | { readonly kind: 'store'; readonly size: AccessSize; readonly operand: Operand }
  /** Legacy packet access, relative to the context in r6; the result in r0, r1 to r5 are clobbered. */
  | { readonly kind: 'packetLoad'; readonly size: 1 | 2 | 4; readonly indirect: boolean }
  /** Read, modify, write. With `fetch` the old value goes to the source register (`cmpxchg`: to r0). */
  | { readonly kind: 'atomic'; readonly op: AtomicName; readonly size: 4 | 8; readonly fetch: boolean }
  | { readonly kind: 'loadAcquire'; readonly size: AccessSize }
  | { readonly kind: 'storeRelease'; readonly size: AccessSize }
  | {
      readonly kind: 'branch';
      readonly condition: ConditionName;
      readonly bits: 32 | 64;
      readonly operand: Operand;
    }
  /** Unconditional; the distance is in the offset (`goto`) or in the immediate (`gotol`). */
  | { readonly kind: 'jump'; readonly distanceIn: 'offset' | 'imm' }
  | { readonly kind: 'jumpIndirect' }
  | { readonly kind: 'mayGoto' }
  | { readonly kind: 'call'; readonly target: 'helper' | 'local' | 'kfunc' | 'register' }
  | { readonly kind: 'exit' };

/** How an instruction is written. */
export interface Syntax {
  /** As llvm-objdump prints it. */
  readonly llvm: string;
  /** Where LLVM's text loses a field, the text that keeps it; the assembler reads both. */
  readonly exact?: string;
  /** As Linux's `print_bpf_insn` prints it, after the opcode in parentheses. */
  readonly kernel: string;
  /** What llvm-objdump prints without 32-bit registers (below `-mcpu=v3`), where that is another text. */
  readonly llvmGeneric?: string;
}

/** One instruction. */
export interface InstructionRow {
  /** Unique, in RFC 9669's manner: `add64_reg`, `jeq32_imm`, `ldx_dw`. */
  readonly name: string;
  readonly opcode: number;
  readonly dst: FieldRule;
  readonly src: FieldRule;
  readonly offset: FieldRule;
  readonly imm: FieldRule;
  /** Takes two slots. What the upper immediate may hold. */
  readonly immHigh?: FieldRule;
  readonly syntax: Syntax;
  readonly semantics: Semantics;
}
