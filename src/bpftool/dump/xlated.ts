// `prog dump xlated`: the instructions as the kernel rewrote them, with prototypes and source lines before them.

import { helperNames } from '../../bpf/helpers.js';
import { decodeOne, disassembleKernel, type Instruction } from '../../isa/index.js';
import { CallSource, PseudoSource } from '../../isa/opcodes.js';
import type { Json } from '../json-writer.js';
import type { DumpedProgram } from './program.js';
import { functionRecords, LineRecords, type SourceLine } from './source.js';

export interface DumpOptions {
  /** With the bytes of each instruction. */
  readonly opcodes: boolean;
  /** Source lines with file, line and column. */
  readonly linum: boolean;
}

/** A dump in both forms. */
export interface Listing {
  /** Whole lines, the last one ended too. */
  text(): string;
  /** The value for the JSON document. */
  json(): Json;
}

/** One instruction, and what stands before it. */
interface Row {
  readonly slot: number;
  readonly prototype: string;
  readonly source: SourceLine | undefined;
  readonly text: string;
  /** 8, or 16 of an `ld_imm64`. */
  readonly bytes: Uint8Array;
}

/** The names that instructions are printed with. */
export function printer({ dump, symbols }: DumpedProgram): (insn: Instruction) => string {
  const { jitedKsyms } = dump;
  const hex = (value: bigint) => `0x${BigInt.asUintN(64, value).toString(16)}`;
  const call = ({ src, imm, offset }: Instruction): string => {
    let address = (symbols?.callBase ?? 0n) + BigInt(imm);
    if (src !== CallSource.LOCAL) return symbols?.at(address) ?? hex(address);
    // In a rewritten program a local call has its distance in the offset, and the function's number here.
    const distance = offset < 0 ? `${offset}` : `+${offset}`;
    if (jitedKsyms.length === 0) return distance;
    address = jitedKsyms[imm >>> 0] ?? address;
    return `${distance}#${symbols?.at(address) ?? hex(address)}`;
  };
  const imm64 = ({ src, imm, immHigh = 0 }: Instruction, value: bigint): string => {
    switch (src) {
      case PseudoSource.MAP_FD:
        return `map[id:${imm}]`;
      case PseudoSource.MAP_VALUE:
        return `map[id:${imm}][0]+${immHigh}`;
      case PseudoSource.MAP_IDX_VALUE:
        return `map[idx:${imm}]+${immHigh}`;
      case PseudoSource.FUNC:
        return `subprog[${imm < 0 ? '' : '+'}${imm}]`;
      default:
        return hex(value);
    }
  };
  // What was not turned into an address is still a helper's number: tail calls, which are no calls.
  const callee = (insn: Instruction) =>
    insn.src === CallSource.HELPER && helperNames[insn.imm] ? `bpf_${helperNames[insn.imm]}` : call(insn);
  return (insn) => disassembleKernel(insn, { call: callee, imm64 });
}

const SLOT = 8;

/** The instructions of a program, by slot. */
export function instructionsOf(xlated: Uint8Array): { slot: number; insn: Instruction; bytes: Uint8Array }[] {
  const found: { slot: number; insn: Instruction; bytes: Uint8Array }[] = [];
  for (let slot = 0; (slot + 1) * SLOT <= xlated.length; ) {
    const { insn, slots } = decodeOne(xlated, slot);
    found.push({ slot, insn, bytes: xlated.subarray(slot * SLOT, (slot + slots) * SLOT) });
    slot += slots;
  }
  return found;
}

function rowsOf(program: DumpedProgram): Row[] {
  const { dump, btf } = program;
  const functions = functionRecords(dump, btf);
  const lines = btf && dump.lineInfo.length > 0 ? new LineRecords(dump, btf) : undefined;
  const print = printer(program);
  let nextFunction = 0;
  let linesShown = 0;
  return instructionsOf(dump.xlated).map(({ slot, insn, bytes }) => {
    let prototype = '';
    if (functions[nextFunction]?.slot === slot) prototype = functions[nextFunction++]?.prototype ?? '';
    // As many records as were shown are passed over, not those that were.
    const record = lines?.find(slot, linesShown);
    if (record !== undefined) linesShown++;
    const source = record === undefined ? undefined : lines?.line(record);
    return { slot, prototype, source, text: print(insn), bytes };
  });
}

const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0');
export const hexBytes = (bytes: Uint8Array): string => Array.from(bytes, hexByte).join(' ');
export const jsonBytes = (bytes: Uint8Array): string[] => Array.from(bytes, (byte) => `0x${hexByte(byte)}`);

/** A source line as text: `; counter++; [file:./hello.bpf.c line_num:9 line_col:12]`. */
export function sourceText({ text, file, line, column }: SourceLine, linum: boolean): string {
  return linum ? `; ${text} [file:${file} line_num:${line} line_col:${column}]\n` : `; ${text}\n`;
}

/** A source line as members of a JSON object. */
export function sourceJson(source: SourceLine | undefined, linum: boolean): Record<string, Json | undefined> {
  if (!source) return {};
  const { text, file, line, column } = source;
  if (!linum) return { src: text };
  return { src: text, file, line_num: line || undefined, line_col: column || undefined };
}

/** `prog dump xlated`, plain and JSON. */
export function dumpXlated(program: DumpedProgram, options: DumpOptions): Listing {
  const { opcodes, linum } = options;
  const rows = rowsOf(program);
  return {
    text: () => {
      let text = '';
      for (const row of rows) {
        if (row.prototype) text += `${row.prototype}:\n`;
        if (row.source) text += sourceText(row.source, linum);
        text += `${String(row.slot).padStart(4)}: ${row.text}\n`;
        if (opcodes) text += `       ${hexBytes(row.bytes)}\n`;
      }
      return text;
    },
    json: () =>
      rows.map((row) => ({
        ...(row.prototype ? { proto: row.prototype } : {}),
        ...sourceJson(row.source, linum),
        disasm: row.text,
        ...(opcodes ? { opcodes: opcodesJson(row.bytes) } : {}),
      })),
  };
}

function opcodesJson(bytes: Uint8Array): Json {
  const registers = bytes[1] ?? 0;
  return {
    code: `0x${hexByte(bytes[0] ?? 0)}`,
    src_reg: `0x${(registers >> 4).toString(16)}`,
    dst_reg: `0x${(registers & 15).toString(16)}`,
    off: jsonBytes(bytes.subarray(2, 4)),
    imm: jsonBytes(bytes.subarray(4)),
  };
}
