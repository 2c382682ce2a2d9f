// Instructions to text, in LLVM's style and in that of Linux, from the patterns of the table:
//
//    llvm-objdump   r3 = *(u32 *)(r6 + 0x0)        if r1 != 0x0 goto +0x2 <label>     r1 = 0x7b ll
//    Linux          (61) r3 = *(u32 *)(r6 +0)      (55) if r1 != 0x0 goto pc+2        (18) r1 = 0x7b

import { functionTarget, imm64Of, jumpTarget, slotOffsets } from './classify.js';
import type { Instruction } from './instruction.js';
import { AluOp, CallSource, InsnClass, JumpOp, Source } from './opcodes.js';
import type { InstructionRow } from './row.js';
import { rowOf, selectorOf, UNKNOWN } from './table.js';

/** How `disassembleLlvm` writes. */
export interface LlvmStyle {
  /**
   * Write 32-bit registers for loads, stores and atomics, as `llvm-objdump --mcpu=v3` does.
   * Without it the text is that of a plain `llvm-objdump -d`.
   */
  readonly alu32?: boolean;
  /** What stands at a slot that is jumped to, printed in angle brackets: `lab`, `main+0x28`. */
  readonly label?: (slot: number) => string | undefined;
}

/** The texts that only the caller knows; without them Linux's own stand-ins are printed. */
export interface KernelCallbacks {
  /** The name of what a call calls: `bpf_map_lookup_elem`, for a local call all after `pc`: `+9#bpf_prog_..._f`. */
  readonly call?: (insn: Instruction) => string | undefined;
  /** The text of a 64-bit number: `map[id:12][0]+0`. `value` is unsigned. */
  readonly imm64?: (insn: Instruction, value: bigint) => string | undefined;
}

/** What the styles write differently. */
interface Formatter {
  readonly alu32: boolean;
  number(value: number): string;
  displacement(value: number): string;
  distance(insn: Instruction, value: number): string;
  imm64(insn: Instruction): string;
  callee(insn: Instruction): string;
}

type Piece = string | { readonly operand: string };

const compiled = new Map<string, readonly Piece[]>();

/** A pattern as literal texts and operands. */
function piecesOf(pattern: string): readonly Piece[] {
  let pieces = compiled.get(pattern);
  if (pieces === undefined) {
    pieces = pattern
      .split(/(\{\w+\})/)
      .filter((text) => text !== '')
      .map((text) => (text.startsWith('{') ? { operand: text.slice(1, -1) } : text));
    compiled.set(pattern, pieces);
  }
  return pieces;
}

function render(pattern: string, insn: Instruction, format: Formatter): string {
  let text = '';
  for (const piece of piecesOf(pattern)) {
    text += typeof piece === 'string' ? piece : operandText(piece.operand, insn, format);
  }
  return text;
}

function operandText(operand: string, insn: Instruction, format: Formatter): string {
  switch (operand) {
    case 'rd':
      return `r${insn.dst}`;
    case 'rs':
      return `r${insn.src}`;
    case 'wd':
      return `w${insn.dst}`;
    case 'ws':
      return `w${insn.src}`;
    case 'xd':
      return `${format.alu32 ? 'w' : 'r'}${insn.dst}`;
    case 'xs':
      return `${format.alu32 ? 'w' : 'r'}${insn.src}`;
    case 'off':
      return format.displacement(insn.offset);
    case 'goto':
      return format.distance(insn, insn.offset);
    case 'gotol':
      return format.distance(insn, insn.imm);
    case 'func':
      return `pc${signedHex(insn.imm)}`;
    case 'imm':
      return format.number(insn.imm);
    case 'immHex':
      return `0x${(insn.imm >>> 0).toString(16)}`;
    case 'immUpper':
      return format.number(insn.imm >>> 16);
    case 'immLower':
      return format.number(insn.imm & 0xffff);
    case 'module':
      return format.number(insn.offset);
    case 'imm64':
      return format.imm64(insn);
    case 'hex64':
      return `0x${BigInt.asUintN(64, imm64Of(insn)).toString(16)}`;
    case 'callee':
      return format.callee(insn);
    default:
      throw new Error(`the instruction table has a pattern with an unknown operand {${operand}}`);
  }
}

const hex = (value: number | bigint): string =>
  value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
const signedHex = (value: number): string => (value < 0 ? hex(value) : `+${hex(value)}`);
const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);

function llvmFormatter(slot: number, style: LlvmStyle): Formatter {
  return {
    alu32: style.alu32 ?? false,
    number: hex,
    displacement: (value) => (value < 0 ? `- ${hex(-value)}` : `+ ${hex(value)}`),
    distance(insn, value) {
      const target = style.label && jumpTarget(insn, slot);
      const label = target === undefined ? undefined : style.label?.(target);
      return label === undefined ? signedHex(value) : `${signedHex(value)} <${label}>`;
    },
    imm64: (insn) => hex(imm64Of(insn)),
    callee: (insn) => hex(insn.imm),
  };
}

/**
 * One instruction as llvm-objdump prints it (LLVM 19; what it does not know yet as LLVM 21 does), `<unknown>` for what
 * is no instruction. `slot` is where it stands; it matters only for labels. LLVM's text leaves out whether a call is to
 * a helper, a subprogram or a kernel function, and the upper half of a `ld_pseudo`.
 */
export function disassembleLlvm(insn: Instruction, slot = 0, style: LlvmStyle = {}): string {
  const row = rowOf(insn);
  if (row === undefined) return UNKNOWN;
  const { llvm, llvmGeneric } = row.syntax;
  return render(style.alu32 ? llvm : (llvmGeneric ?? llvm), insn, llvmFormatter(slot, style));
}

/**
 * A whole program as text for the assembler, with a label at every jump target: `assemble` gives the same instructions
 * back. This is LLVM's syntax; where that would lose a field there is an addition of ours (`call pc+0x5`,
 * `call kfunc(0x5, 0x0)`, `skb[r1 + 0x5]`).
 */
export function toAssembly(insns: readonly Instruction[]): string {
  const offsets = slotOffsets(insns);
  const starts = new Set(offsets);
  const labels = new Map<number, string>();
  for (const [index, insn] of insns.entries()) {
    const slot = offsets[index] ?? 0;
    const callee = insn.opcode === (InsnClass.JMP | 0x80) ? functionTarget(insn, slot) : undefined;
    const target = callee ?? jumpTarget(insn, slot);
    if (target !== undefined && starts.has(target)) {
      if (callee !== undefined) labels.set(target, `func_${target}`);
      else if (!labels.has(target)) labels.set(target, `L${target}`);
    }
  }
  const lines: string[] = [];
  for (const [index, insn] of insns.entries()) {
    const slot = offsets[index] ?? 0;
    const label = labels.get(slot);
    if (label !== undefined) lines.push(`${label}:`);
    lines.push(`  ${assemblyLine(insn, slot, labels)}`);
  }
  const end = labels.get(offsets[insns.length] ?? 0);
  if (end !== undefined) lines.push(`${end}:`);
  return `${lines.join('\n')}\n`;
}

function assemblyLine(insn: Instruction, slot: number, labels: ReadonlyMap<number, string>): string {
  const row = rowOf(insn);
  if (row === undefined) return UNKNOWN;
  const format = llvmFormatter(slot, { alu32: true });
  const named: Formatter = {
    ...format,
    distance: (jump, value) => labels.get(jumpTarget(jump, slot) ?? -1) ?? signedHex(value),
  };
  const callee = row.name === 'call_local' ? labels.get(functionTarget(insn, slot) ?? -1) : undefined;
  if (callee !== undefined) return `call ${callee}`;
  return render(exactPattern(insn, row), insn, named);
}

function exactPattern(insn: Instruction, row: InstructionRow): string {
  const { exact, llvm } = row.syntax;
  if (exact === undefined) return llvm;
  // A packet load by register has an immediate in Linux only; the usual one has none.
  return row.semantics.kind === 'packetLoad' && insn.imm === 0 ? llvm : exact;
}

function kernelFormatter(callbacks: KernelCallbacks): Formatter {
  return {
    alu32: false,
    number: String,
    displacement: signed,
    distance: (_insn, value) => signed(value),
    imm64(insn) {
      const value = BigInt.asUintN(64, imm64Of(insn));
      return callbacks.imm64?.(insn, value) ?? hex(value);
    },
    callee(insn) {
      const name = callbacks.call?.(insn);
      if (name !== undefined) return name;
      if (insn.src === CallSource.LOCAL) return signed(insn.imm);
      return insn.src === CallSource.KFUNC ? 'kernel-function' : 'unknown';
    },
  };
}

/**
 * One instruction as Linux prints it in the verifier's log and `bpftool prog dump xlated`: the opcode in
 * parentheses, then the text (print_bpf_insn in kernel/bpf/disasm.c, Linux 6.18). The names of helpers and maps
 * come from `callbacks`. What is no instruction gives the text that Linux has for it, such as `BUG_ld_38`.
 */
export function disassembleKernel(insn: Instruction, callbacks: KernelCallbacks = {}): string {
  const opcode = insn.opcode.toString(16).padStart(2, '0');
  // may_goto has no source; with one it is a comparison without a name.
  const pattern =
    insn.opcode === (InsnClass.JMP | JumpOp.JCOND) && insn.src !== 0
      ? `if {rd} (null) ${hex(BigInt(insn.imm >>> 0))} goto pc{goto}`
      : (rowOf(insn)?.syntax.kernel ?? rewrittenPattern(insn) ?? nearestPattern(insn));
  if (pattern !== undefined) return `(${opcode}) ${render(pattern, insn, kernelFormatter(callbacks))}`;
  switch (insn.opcode & 0x07) {
    case InsnClass.LD:
      return `BUG_ld_${opcode}`;
    case InsnClass.LDX:
      return `BUG_ldx_${opcode}`;
    case InsnClass.ST:
      return `BUG_st_${opcode}`;
    case InsnClass.STX:
      return `BUG_${opcode}`;
    default:
      return `(${opcode}) ${UNKNOWN}`;
  }
}

/**
 * Linux looks at as many fields as it needs to write an instruction: where one has a value that no instruction has, the text is
 * that of the plain one of this opcode, and a conversion shows its width as it is.
 */
function nearestPattern(insn: Instruction): string | undefined {
  const field = selectorOf(insn.opcode)?.field;
  const cls = insn.opcode & 7;
  if ((insn.opcode & 0xf0) === AluOp.END && (cls === InsnClass.ALU || cls === InsnClass.ALU64)) {
    const order = cls === InsnClass.ALU64 ? 'bswap' : insn.opcode & Source.X ? 'be' : 'le';
    return `{rd} = ${order}{imm} {rd}`;
  }
  if (insn.opcode === (InsnClass.ALU | AluOp.MOV | Source.X) && insn.offset === 32) return '{wd} = (s32){ws}';
  const narrow = insn.opcode === 0xcb ? 'u16' : insn.opcode === 0xd3 ? 'u8' : undefined;
  // Operations of one or two bytes are written like those of four.
  if (narrow) return rowOf({ ...insn, opcode: 0xc3 })?.syntax.kernel?.replace('u32', narrow);
  return field === 'src' || field === 'offset' ? rowOf({ ...insn, [field]: 0 })?.syntax.kernel : undefined;
}

/** Instructions that no program may contain but that Linux itself puts in, and shows in its dumps. */
function rewrittenPattern(insn: Instruction): string | undefined {
  const move = InsnClass.ALU64 | AluOp.MOV | Source.X;
  if (insn.opcode === move && insn.offset === -1) return '{rd} = &(void __percpu *)({rs})';
  if (insn.opcode === (InsnClass.ST | 0xc0)) return 'nospec';
  return undefined;
}
