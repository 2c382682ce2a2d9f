// The table of instructions. One row says everything about one instruction: its opcode, what each field may hold,
// how it is written and what it does. Decoder, encoder, assembler, disassemblers and engines read these rows.
//
// A field's rule is a number (the field must hold exactly that; 0 for an unused field) or what it means. Rows that
// share an opcode differ in the number of exactly one field, the opcode's *selector*:
//
//    0x3f  r1 /= r2    offset 0          0xdb  lock *(u64 *)(r1 + 0) += r2     imm 0x00
//    0x3f  r1 s/= r2   offset 1          0xdb  r2 = xchg_64(r1 + 0, r2)        imm 0xe1
//
// Texts are patterns with operands in braces: {rd} {rs} registers, {wd} {ws} their lower halves, {xd} {xs} the one or
// the other by CPU version; {off} a memory offset; {goto} {gotol} {func} distances in slots; {imm} {imm64} numbers,
// {immHex} {hex64} the same unsigned, {immUpper} {immLower} the halves of imm; {callee} what a call calls.

import type { Instruction } from './instruction.js';
import {
  AluOp,
  AtomicOp,
  CallSource,
  InsnClass,
  JumpOp,
  Mode,
  PseudoSource,
  Size,
  Source,
} from './opcodes.js';
import type { FieldName, FieldRule, InstructionRow, Syntax } from './row.js';

export type * from './row.js';

const { K, X } = Source;
const { LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 } = InsnClass;

const ALU_TABLE = [
  { op: 'add', code: AluOp.ADD, offset: 0, sign: '+=' },
  { op: 'sub', code: AluOp.SUB, offset: 0, sign: '-=' },
  { op: 'mul', code: AluOp.MUL, offset: 0, sign: '*=' },
  { op: 'div', code: AluOp.DIV, offset: 0, sign: '/=' },
  { op: 'sdiv', code: AluOp.DIV, offset: 1, sign: 's/=' },
  { op: 'or', code: AluOp.OR, offset: 0, sign: '|=' },
  { op: 'and', code: AluOp.AND, offset: 0, sign: '&=' },
  { op: 'lsh', code: AluOp.LSH, offset: 0, sign: '<<=' },
  { op: 'rsh', code: AluOp.RSH, offset: 0, sign: '>>=' },
  { op: 'mod', code: AluOp.MOD, offset: 0, sign: '%=' },
  { op: 'smod', code: AluOp.MOD, offset: 1, sign: 's%=' },
  { op: 'xor', code: AluOp.XOR, offset: 0, sign: '^=' },
  { op: 'mov', code: AluOp.MOV, offset: 0, sign: '=' },
  { op: 'arsh', code: AluOp.ARSH, offset: 0, sign: 's>>=' },
] as const;

const CONDITION_TABLE = [
  { condition: 'eq', code: JumpOp.JEQ, sign: '==' },
  { condition: 'gt', code: JumpOp.JGT, sign: '>' },
  { condition: 'ge', code: JumpOp.JGE, sign: '>=' },
  { condition: 'set', code: JumpOp.JSET, sign: '&' },
  { condition: 'ne', code: JumpOp.JNE, sign: '!=' },
  { condition: 'sgt', code: JumpOp.JSGT, sign: 's>' },
  { condition: 'sge', code: JumpOp.JSGE, sign: 's>=' },
  { condition: 'lt', code: JumpOp.JLT, sign: '<' },
  { condition: 'le', code: JumpOp.JLE, sign: '<=' },
  { condition: 'slt', code: JumpOp.JSLT, sign: 's<' },
  { condition: 'sle', code: JumpOp.JSLE, sign: 's<=' },
] as const;

const SIZE_TABLE = [
  { name: 'b', code: Size.B, size: 1, bits: 8 },
  { name: 'h', code: Size.H, size: 2, bits: 16 },
  { name: 'w', code: Size.W, size: 4, bits: 32 },
  { name: 'dw', code: Size.DW, size: 8, bits: 64 },
] as const;

const ATOMIC_TABLE = [
  { op: 'add', code: AtomicOp.ADD, sign: '+=' },
  { op: 'or', code: AtomicOp.OR, sign: '|=' },
  { op: 'and', code: AtomicOp.AND, sign: '&=' },
  { op: 'xor', code: AtomicOp.XOR, sign: '^=' },
] as const;

const WIDTHS = [
  { bits: 64, alu: ALU64, jump: JMP, r: 'r' },
  { bits: 32, alu: ALU, jump: JMP32, r: 'w' },
] as const;

/** The four field rules of a row, in the order of the encoding. */
const fields = (dst: FieldRule, src: FieldRule, offset: FieldRule, imm: FieldRule) => ({
  dst,
  src,
  offset,
  imm,
});

/** What llvm-objdump prints for bytes that are no instruction to it. */
export const UNKNOWN = '<unknown>';

/** The same text in both styles. */
const both = (text: string): Syntax => ({ llvm: text, kernel: text });

function aluRows(): InstructionRow[] {
  return WIDTHS.flatMap(({ bits, alu, r }) =>
    ALU_TABLE.flatMap(({ op, code, offset, sign }): InstructionRow[] => {
      const dst = op === 'mov' ? 'write' : 'update';
      return [
        {
          name: `${op}${bits}_imm`,
          opcode: alu | code | K,
          ...fields(dst, 0, offset, 'value'),
          syntax: both(`{${r}d} ${sign} {imm}`),
          semantics: { kind: 'alu', op, bits, operand: 'imm' },
        },
        {
          name: `${op}${bits}_reg`,
          opcode: alu | code | X,
          ...fields(dst, 'read', offset, 0),
          syntax: both(`{${r}d} ${sign} {${r}s}`),
          semantics: { kind: 'alu', op, bits, operand: 'reg' },
        },
      ];
    }),
  );
}

function moveAndUnaryRows(): InstructionRow[] {
  const rows: InstructionRow[] = [];
  for (const { bits, alu, r } of WIDTHS) {
    for (const from of [8, 16, 32] as const) {
      if (from >= bits) continue;
      rows.push({
        name: `movsx${from}to${bits}`,
        opcode: alu | AluOp.MOV | X,
        ...fields('write', 'read', from, 0),
        syntax: both(`{${r}d} = (s${from}){${r}s}`),
        semantics: { kind: 'movsx', bits, from },
      });
    }
    rows.push({
      name: `neg${bits}`,
      opcode: alu | AluOp.NEG,
      ...fields('update', 0, 0, 0),
      syntax: both(`{${r}d} = -{${r}d}`),
      semantics: { kind: 'neg', bits },
    });
  }
  const orders = [
    { to: 'le', text: 'le', opcode: ALU | AluOp.END | K },
    { to: 'be', text: 'be', opcode: ALU | AluOp.END | X },
    { to: 'swap', text: 'bswap', opcode: ALU64 | AluOp.END | K },
  ] as const;
  for (const { to, text, opcode } of orders) {
    for (const bits of [16, 32, 64] as const) {
      rows.push({
        name: `${text}${bits}`,
        opcode,
        ...fields('update', 0, 0, bits),
        syntax: both(`{rd} = ${text}${bits} {rd}`),
        semantics: { kind: 'byteOrder', to, bits },
      });
    }
  }
  rows.push({
    name: 'addr_space_cast',
    opcode: ALU64 | AluOp.MOV | X,
    ...fields('write', 'read', 1, 'value'),
    syntax: both('{rd} = addr_space_cast({rs}, {immUpper}, {immLower})'),
    semantics: { kind: 'addrSpaceCast' },
  });
  return rows;
}

function memoryRows(): InstructionRow[] {
  const rows: InstructionRow[] = [];
  for (const { name, code, size, bits } of SIZE_TABLE) {
    const [d, s] = size === 8 ? ['{rd}', '{rs}'] : ['{xd}', '{xs}'];
    rows.push(
      {
        name: `ldx_${name}`,
        opcode: LDX | Mode.MEM | code,
        ...fields('write', 'read', 'displacement', 0),
        syntax: { llvm: `${d} = *(u${bits} *)({rs} {off})`, kernel: `{rd} = *(u${bits} *)({rs} {off})` },
        semantics: { kind: 'load', size, signed: false },
      },
      {
        name: `st_${name}`,
        opcode: ST | Mode.MEM | code,
        ...fields('read', 0, 'displacement', 'value'),
        syntax: both(`*(u${bits} *)({rd} {off}) = {imm}`),
        semantics: { kind: 'store', size, operand: 'imm' },
      },
      {
        name: `stx_${name}`,
        opcode: STX | Mode.MEM | code,
        ...fields('read', 'read', 'displacement', 0),
        syntax: { llvm: `*(u${bits} *)({rd} {off}) = ${s}`, kernel: `*(u${bits} *)({rd} {off}) = {rs}` },
        semantics: { kind: 'store', size, operand: 'reg' },
      },
    );
    if (size === 8) continue;
    rows.push(
      {
        name: `ldxs_${name}`,
        opcode: LDX | Mode.MEMSX | code,
        ...fields('write', 'read', 'displacement', 0),
        syntax: both(`{rd} = *(s${bits} *)({rs} {off})`),
        semantics: { kind: 'load', size, signed: true },
      },
      {
        name: `ld_abs_${name}`,
        opcode: LD | Mode.ABS | code,
        ...fields(0, 0, 0, 'value'),
        syntax: both(`r0 = *(u${bits} *)skb[{imm}]`),
        semantics: { kind: 'packetLoad', size, indirect: false },
      },
      {
        name: `ld_ind_${name}`,
        opcode: LD | Mode.IND | code,
        ...fields(0, 'read', 0, 'value'),
        syntax: {
          llvm: `r0 = *(u${bits} *)skb[{rs}]`,
          exact: `r0 = *(u${bits} *)skb[{rs} + {imm}]`,
          kernel: `r0 = *(u${bits} *)skb[{rs} + {imm}]`,
        },
        semantics: { kind: 'packetLoad', size, indirect: true },
      },
    );
  }
  return rows;
}

function atomicRows(): InstructionRow[] {
  const rows: InstructionRow[] = [];
  for (const { name, code, size, bits } of SIZE_TABLE) {
    const opcode = STX | Mode.ATOMIC | code;
    const r = size === 8 ? 'r' : 'w';
    rows.push(
      {
        name: `load_acquire_${name}`,
        opcode,
        ...fields('write', 'read', 'displacement', AtomicOp.LOAD_ACQ),
        syntax: {
          llvm: `{${r}d} = load_acquire((u${bits} *)({rs} {off}))`,
          kernel: `{rd} = load_acquire((u${bits} *)({rs} {off}))`,
        },
        semantics: { kind: 'loadAcquire', size },
      },
      {
        name: `store_release_${name}`,
        opcode,
        ...fields('read', 'read', 'displacement', AtomicOp.STORE_REL),
        syntax: {
          llvm: `store_release((u${bits} *)({rd} {off}), {${r}s})`,
          kernel: `store_release((u${bits} *)({rd} {off}), {rs})`,
        },
        semantics: { kind: 'storeRelease', size },
      },
    );
    if (size < 4) continue;
    const width = size === 8 ? 8 : 4;
    const alu32 = width === 4;
    // Linux writes `atomic64_fetch_add`, `atomic_fetch_add`.
    const atomic = alu32 ? 'atomic' : 'atomic64';
    for (const { op, code: imm, sign } of ATOMIC_TABLE) {
      const value = alu32 && op === 'add' ? '{xs}' : `{${r}s}`;
      rows.push(
        {
          name: `atomic_${op}_${name}`,
          opcode,
          ...fields('read', 'read', 'displacement', imm),
          syntax: {
            llvm: `lock *(u${bits} *)({rd} {off}) ${sign} ${value}`,
            kernel: `lock *(u${bits} *)({rd} {off}) ${sign} {rs}`,
            ...(alu32 && op !== 'add' ? { llvmGeneric: UNKNOWN } : {}),
          },
          semantics: { kind: 'atomic', op, size: width, fetch: false },
        },
        {
          name: `atomic_fetch_${op}_${name}`,
          opcode,
          ...fields('read', 'update', 'displacement', imm | AtomicOp.FETCH),
          syntax: {
            llvm: `{${r}s} = atomic_fetch_${op}((u${bits} *)({rd} {off}), {${r}s})`,
            kernel: `{rs} = ${atomic}_fetch_${op}((u${bits} *)({rd} {off}), {rs})`,
            // Below v3 LLVM takes a fetching addition for a plain one.
            ...(alu32 ? { llvmGeneric: op === 'add' ? `lock *(u32 *)({rd} {off}) += {rs}` : UNKNOWN } : {}),
          },
          semantics: { kind: 'atomic', op, size: width, fetch: true },
        },
      );
    }
    const suffix = alu32 ? '32_32' : '_64';
    rows.push(
      {
        name: `atomic_xchg_${name}`,
        opcode,
        ...fields('read', 'update', 'displacement', AtomicOp.XCHG),
        syntax: {
          llvm: `{${r}s} = xchg${suffix}({rd} {off}, {${r}s})`,
          kernel: `{rs} = ${atomic}_xchg((u${bits} *)({rd} {off}), {rs})`,
          ...(alu32 ? { llvmGeneric: UNKNOWN } : {}),
        },
        semantics: { kind: 'atomic', op: 'xchg', size: width, fetch: true },
      },
      {
        name: `atomic_cmpxchg_${name}`,
        opcode,
        ...fields('read', 'read', 'displacement', AtomicOp.CMPXCHG),
        syntax: {
          llvm: `${r}0 = cmpxchg${suffix}({rd} {off}, ${r}0, {${r}s})`,
          kernel: `r0 = ${atomic}_cmpxchg((u${bits} *)({rd} {off}), r0, {rs})`,
          ...(alu32 ? { llvmGeneric: UNKNOWN } : {}),
        },
        semantics: { kind: 'atomic', op: 'cmpxchg', size: width, fetch: true },
      },
    );
  }
  return rows;
}

function loadImm64Rows(): InstructionRow[] {
  return Object.entries(PseudoSource).map(([name, pseudo]): InstructionRow => {
    const plain = pseudo === PseudoSource.NONE;
    // Only these have a second number; for the others the upper half is unused.
    const pair =
      plain ||
      pseudo === PseudoSource.MAP_VALUE ||
      pseudo === PseudoSource.MAP_IDX_VALUE ||
      pseudo === PseudoSource.BTF_ID;
    return {
      name: plain ? 'ld_imm64' : `ld_imm64_${name.toLowerCase()}`,
      opcode: LD | Mode.IMM | Size.DW,
      ...fields('write', pseudo, 0, pseudo === PseudoSource.FUNC ? 'distance' : 'value'),
      immHigh: pair ? 'value' : 0,
      syntax: {
        llvm: plain ? '{rd} = {imm64} ll' : `ld_pseudo\t{rd}, 0x${pseudo}, {immHex}`,
        ...(plain ? {} : { exact: `ld_pseudo\t{rd}, 0x${pseudo}, {hex64}` }),
        kernel: '{rd} = {imm64}',
      },
      semantics: { kind: 'loadImm64', pseudo },
    };
  });
}

function jumpRows(): InstructionRow[] {
  const branches = WIDTHS.flatMap(({ bits, jump, r }) =>
    CONDITION_TABLE.flatMap(({ condition, code, sign }): InstructionRow[] => [
      {
        name: `j${condition}${bits}_imm`,
        opcode: jump | code | K,
        ...fields('read', 0, 'distance', 'value'),
        syntax: {
          llvm: `if {${r}d} ${sign} {imm} goto {goto}`,
          kernel: `if {${r}d} ${sign} {immHex} goto pc{goto}`,
        },
        semantics: { kind: 'branch', condition, bits, operand: 'imm' },
      },
      {
        name: `j${condition}${bits}_reg`,
        opcode: jump | code | X,
        ...fields('read', 'read', 'distance', 0),
        syntax: {
          llvm: `if {${r}d} ${sign} {${r}s} goto {goto}`,
          kernel: `if {${r}d} ${sign} {${r}s} goto pc{goto}`,
        },
        semantics: { kind: 'branch', condition, bits, operand: 'reg' },
      },
    ]),
  );
  return [
    ...branches,
    {
      name: 'ja',
      opcode: JMP | JumpOp.JA | K,
      ...fields(0, 0, 'distance', 0),
      syntax: { llvm: 'goto {goto}', kernel: 'goto pc{goto}' },
      semantics: { kind: 'jump', distanceIn: 'offset' },
    },
    {
      name: 'gotol',
      opcode: JMP32 | JumpOp.JA | K,
      ...fields(0, 0, 0, 'distance'),
      syntax: { llvm: 'gotol {gotol}', kernel: 'gotol pc{gotol}' },
      semantics: { kind: 'jump', distanceIn: 'imm' },
    },
    {
      name: 'gotox',
      opcode: JMP | JumpOp.JA | X,
      ...fields('read', 0, 0, 0),
      syntax: both('gotox {rd}'),
      semantics: { kind: 'jumpIndirect' },
    },
    {
      name: 'may_goto',
      opcode: JMP | JumpOp.JCOND | K,
      ...fields(0, 0, 'distance', 0),
      syntax: { llvm: 'may_goto {goto}', kernel: 'may_goto pc{goto}' },
      semantics: { kind: 'mayGoto' },
    },
    {
      name: 'call_helper',
      opcode: JMP | JumpOp.CALL | K,
      ...fields(0, CallSource.HELPER, 0, 'value'),
      syntax: { llvm: 'call {imm}', kernel: 'call {callee}#{imm}' },
      semantics: { kind: 'call', target: 'helper' },
    },
    {
      name: 'call_local',
      opcode: JMP | JumpOp.CALL | K,
      ...fields(0, CallSource.LOCAL, 0, 'distance'),
      syntax: { llvm: 'call {imm}', exact: 'call {func}', kernel: 'call pc{callee}' },
      semantics: { kind: 'call', target: 'local' },
    },
    {
      name: 'call_kfunc',
      opcode: JMP | JumpOp.CALL | K,
      ...fields(0, CallSource.KFUNC, 'module', 'value'),
      syntax: { llvm: 'call {imm}', exact: 'call kfunc({imm}, {module})', kernel: 'call {callee}#{imm}' },
      semantics: { kind: 'call', target: 'kfunc' },
    },
    {
      name: 'callx',
      opcode: JMP | JumpOp.CALL | X,
      ...fields('read', 0, 0, 0),
      syntax: both('callx {rd}'),
      semantics: { kind: 'call', target: 'register' },
    },
    {
      name: 'exit',
      opcode: JMP | JumpOp.EXIT | K,
      ...fields(0, 0, 0, 0),
      syntax: both('exit'),
      semantics: { kind: 'exit' },
    },
  ];
}

/** Every instruction, each once. */
export const INSTRUCTIONS: readonly InstructionRow[] = [
  ...aluRows(),
  ...moveAndUnaryRows(),
  ...memoryRows(),
  ...atomicRows(),
  ...loadImm64Rows(),
  ...jumpRows(),
];

/** The rows of one opcode: the field that tells them apart, and the row for each of its values. */
interface OpcodeEntry {
  readonly selector: FieldName;
  readonly rows: ReadonlyMap<number, InstructionRow>;
}

const FIELDS = ['src', 'offset', 'imm', 'dst'] as const;

function indexByOpcode(): readonly (InstructionRow | OpcodeEntry | undefined)[] {
  const index: (InstructionRow | OpcodeEntry | undefined)[] = new Array(256).fill(undefined);
  for (let opcode = 0; opcode < 256; opcode++) {
    const rows = INSTRUCTIONS.filter((row) => row.opcode === opcode);
    if (rows.length < 2) {
      index[opcode] = rows[0];
      continue;
    }
    const selector = FIELDS.find(
      (field) =>
        new Set(rows.map((row) => row[field])).size === rows.length &&
        rows.every((row) => typeof row[field] === 'number'),
    );
    if (selector === undefined) throw new Error(`instructions of opcode ${opcode} cannot be told apart`);
    index[opcode] = { selector, rows: new Map(rows.map((row) => [Number(row[selector]), row])) };
  }
  return index;
}

const BY_OPCODE = indexByOpcode();

/**
 * The row of an instruction, or undefined when its opcode, or the field that tells the opcode's instructions apart,
 * has a value that no instruction has. The other fields are not looked at.
 */
export function rowOf(insn: Instruction): InstructionRow | undefined {
  const entry = BY_OPCODE[insn.opcode];
  if (entry === undefined || !('selector' in entry)) return entry;
  return entry.rows.get(insn[entry.selector]);
}

/** The field that tells the instructions of `opcode` apart and its values, or undefined when there is one or none. */
export function selectorOf(opcode: number): { field: FieldName; values: number[] } | undefined {
  const entry = BY_OPCODE[opcode];
  if (entry === undefined || !('selector' in entry)) return undefined;
  return { field: entry.selector, values: [...entry.rows.keys()] };
}

/** Whether any instruction has this opcode. */
export function isKnownOpcode(opcode: number): boolean {
  return BY_OPCODE[opcode] !== undefined;
}

const BY_NAME: ReadonlyMap<string, InstructionRow> = new Map(INSTRUCTIONS.map((row) => [row.name, row]));

/** The row called `name`; throws when there is none, which is a mistake of the caller. */
export function rowNamed(name: string): InstructionRow {
  const row = BY_NAME.get(name);
  if (row === undefined) throw new Error(`no instruction is called ${name}`);
  return row;
}
