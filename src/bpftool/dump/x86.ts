// x86-64, in AT&T's syntax, as LLVM prints it: what the JIT of Linux makes on most machines.

import { ToolError } from '../tool-error.js';
import { type CodeRow, optional } from './machine-code.js';

const LOCK = 0xf0;

/** How Linux's JIT begins a function: a landing pad for indirect jumps, or room for a call. */
const beginnings: readonly (readonly number[])[] = [
  [0xf3, 0x0f, 0x1e, 0xfa],
  [0x0f, 0x1f, 0x44, 0x00],
  [0xe8],
];

/** Whether this is machine code as the JIT of x86-64 makes it. */
export const isX86 = (code: Uint8Array): boolean =>
  beginnings.some((bytes) => bytes.every((byte, i) => code[i] === byte));

/** What iced calls otherwise than LLVM. */
const renamed: Readonly<Record<string, string>> = { leaveq: 'leave' };

/** Addresses without a register are signed, as distances are. */
const signed = (operands: string): string =>
  operands.replace(/\d{19,}/, (digits) => String(BigInt.asIntN(64, BigInt(digits))));

const unsigned = (operands: string): string =>
  operands.replace(/^\$(-\d+)/, (_, digits: string) => `$${Number(digits) >>> 0}`);

/** The instructions of one function that lies at `address`. */
export async function x86Rows(code: Uint8Array, address: bigint): Promise<CodeRow[]> {
  const iced = await optional(() => import('iced-x86'), 'iced-x86', 'machine code of x86-64');
  const { Decoder, DecoderOptions, Formatter, FormatterSyntax } = iced.default ?? iced;
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Gas);
  try {
    decoder.ip = address;
    formatter.gasShowMnemonicSizeSuffix = true;
    formatter.spaceAfterOperandSeparator = true;
    formatter.signedImmediateOperands = true;
    formatter.numberBase = 10;
    const rows: CodeRow[] = [];
    let pc = 0;
    while (decoder.canDecode) {
      const insn = decoder.decode();
      const { length } = insn;
      if (length === 0) throw new ToolError(`the byte at ${pc} begins no instruction of x86-64`);
      const text = formatter.format(insn);
      const target = insn.nearBranchTarget;
      insn.free();
      let bytes = code.subarray(pc, pc + length);
      let words = text;
      // LLVM takes this prefix for an instruction of its own.
      if (bytes[0] === LOCK && text.startsWith('lock ')) {
        rows.push({ pc, operation: 'lock', operands: '', depth: 0, bytes: bytes.subarray(0, 1) });
        bytes = bytes.subarray(1);
        words = text.slice('lock '.length);
      }
      const space = words.indexOf(' ');
      const operation = space < 0 ? words : words.slice(0, space);
      const operands = space < 0 ? '' : words.slice(space + 1).trim();
      // A number moved to the lower half of a register is not signed.
      const moved =
        operation === 'movl' && ((code[pc] === 0x41 ? code[pc + 1] : code[pc]) ?? 0) >> 3 === 0xb8 >> 3;
      rows.push({
        pc: pc + length - bytes.length,
        operation: renamed[operation] ?? operation,
        operands: target ? `0x${target.toString(16)}` : moved ? unsigned(operands) : signed(operands),
        depth: 0,
        bytes,
      });
      pc += length;
    }
    return rows;
  } finally {
    formatter.free();
    decoder.free();
  }
}
