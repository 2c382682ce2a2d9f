// `prog dump xlated visual`: the control flow graph in the language of Graphviz, a cluster for each function, a record for
// each basic block, as bpftool draws it.
//
//     ENTRY -> block 2 -> block 3 -> ... -> EXIT      blocks are numbered from 2, in the order of their instructions
//
// Instructions are numbered from the function's beginning. What bpftool looks up by that number it finds for the whole
// program: prototypes and source lines of functions but the first are therefore not theirs. So it is here.

import type { Instruction } from '../../isa/index.js';
import { CallSource, InsnClass, JumpOp } from '../../isa/opcodes.js';
import type { DumpedProgram } from './program.js';
import { functionRecords, LineRecords, type SourceLine } from './source.js';
import { type DumpOptions, hexBytes, instructionsOf, printer } from './xlated.js';

interface Block {
  readonly head: number;
  /** The slot before the next block. */
  tail: number;
}

const isJump = ({ opcode }: Instruction): boolean =>
  (opcode & 7) === InsnClass.JMP || (opcode & 7) === InsnClass.JMP32;
const op = ({ opcode }: Instruction): number => opcode & 0xf0;
const leaves = (insn: Instruction): boolean => op(insn) === JumpOp.CALL || op(insn) === JumpOp.EXIT;

/** `prog dump xlated visual`: the whole document. */
export function dumpVisual(program: DumpedProgram, options: DumpOptions): string {
  const decoded = instructionsOf(program.dump.xlated);
  const end = program.dump.xlated.length >> 3;
  const starts = new Map<number, number>([[0, 0]]);
  for (const { slot, insn } of decoded) {
    if (!isJump(insn) || op(insn) !== JumpOp.CALL || insn.src !== CallSource.LOCAL) continue;
    // Numbered as they are met, drawn as they stand.
    const callee = slot + insn.offset + 1;
    if (!starts.has(callee)) starts.set(callee, starts.size);
  }
  const label = labeller(program, options);
  const sorted = [...starts].sort(([a], [b]) => a - b);
  const clusters = sorted.map(([start, number], i) => {
    const stop = sorted[i + 1]?.[0] ?? end;
    const own = decoded.filter(({ slot }) => slot >= start && slot < stop);
    return drawFunction(number, own, { start, stop }, label);
  });
  return `digraph "DOT graph for eBPF program" {\n${clusters.join('')}}\n`;
}

type Decoded = ReturnType<typeof instructionsOf>;
interface Extent {
  readonly start: number;
  readonly stop: number;
}

function blocksOf(insns: Decoded, { start, stop }: Extent): Block[] {
  const heads = new Set([start]);
  for (const { slot, insn } of insns) {
    if (!isJump(insn) || leaves(insn)) continue;
    heads.add(slot + insn.offset + 1);
    if (op(insn) !== JumpOp.JA) heads.add(slot + 1);
  }
  const sorted = [...heads].filter((head) => head >= start && head < stop).sort((a, b) => a - b);
  return sorted.map((head, i) => ({ head, tail: (sorted[i + 1] ?? stop) - 1 }));
}

function drawFunction(
  number: number,
  insns: Decoded,
  extent: Extent,
  label: (insns: Decoded, start: number) => string,
): string {
  const blocks = blocksOf(insns, extent);
  const node = (block: number) => `fn_${number}_bb_${block}`;
  const special = (block: number, name: string) =>
    `\t${node(block)} [shape=Mdiamond,style=filled,label="${name}"];\n\n`;
  const edge = (from: number, to: number) =>
    `\t${node(from)}:s -> ${node(to)}:n [style="solid,bold", color=black, weight=10, constraint=true];\n`;
  let text = `subgraph "cluster_${number}" {\n\tstyle="dashed";\n\tcolor="black";\n\tlabel="func_${number} ()";\n`;
  text += special(0, 'ENTRY');
  for (const [i, { head, tail }] of blocks.entries()) {
    const own = insns.filter(({ slot }) => slot >= head && slot <= tail);
    text += `\t${node(i + 2)} [shape=record,style=filled,label="{\\\n${label(own, extent.start)}}"];\n\n`;
  }
  text += special(1, 'EXIT');
  text += edge(0, 2);
  for (const [i, { head, tail }] of blocks.entries()) {
    // Whatever ends the function goes to its end, as does the last block.
    const next = i + 1 < blocks.length ? i + 3 : 1;
    const last = insns.findLast(({ slot }) => slot >= head && slot <= tail);
    if (!last || !isJump(last.insn) || leaves(last.insn)) {
      text += edge(i + 2, next);
      continue;
    }
    const target = blocks.findIndex((block) => block.head === last.slot + last.insn.offset + 1);
    if (op(last.insn) !== JumpOp.JA) text += edge(i + 2, next);
    if (target >= 0) text += edge(i + 2, target + 2);
  }
  return `${text}\t${node(0)}:s -> ${node(1)}:n [style="invis", constraint=true];\n}\n`;
}

/** Characters that mean something in the label of a record. */
const escapeSource = (text: string): string => text.replace(/[\\"{}<>| ]/g, '\\$&');
const escapeInstruction = (text: string): string => text.replace(/[<>|&]/g, '\\$&');

/** The text in a block. */
function labeller(program: DumpedProgram, { opcodes, linum }: DumpOptions) {
  const { dump, btf } = program;
  const functions = functionRecords(dump, btf);
  const lines = btf && dump.lineInfo.length > 0 ? new LineRecords(dump, btf) : undefined;
  const print = printer(program);
  return (insns: Decoded, start: number): string => {
    let shown: number | undefined;
    let next = 0;
    const texts = insns.map(({ slot, insn, bytes }) => {
      const number = slot - start;
      let text = '';
      if (functions[next]?.slot === number) {
        const { prototype = '' } = functions[next++] ?? {};
        if (prototype) text += `; ${prototype}:\\l\\\n`;
      }
      const record = lines?.find(number);
      if (record !== undefined && record !== shown) {
        shown = record;
        const source = lines?.line(record);
        if (source) text += sourceLabel(source, linum);
      }
      text += `${number}: ${escapeInstruction(print(insn))}\\l\\\n`;
      if (opcodes) text += `\\ \\ \\ \\ ${hexBytes(bytes)}\\l\\\n`;
      return text;
    });
    return texts.join('| ');
  };
}

const LONGEST_PATH = 32;

/** The end of a long path: from the first `/` among its last 32 characters, else the file's name. */
function shortPath(path: string): string {
  if (path.length <= LONGEST_PATH) return path;
  const slash = path.indexOf('/', path.length - LONGEST_PATH);
  if (slash >= 0) return slash < 3 ? path : path.slice(slash);
  const last = path.lastIndexOf('/');
  return last < 0 ? path : path.slice(last);
}

function sourceLabel({ text, file, line, column }: SourceLine, linum: boolean): string {
  const short = shortPath(file);
  const place = `; [${short === file ? '' : '...'}${escapeSource(short)} line:${line} col:${column}]\\l\\\n`;
  return `${linum ? place : ''}; ${escapeSource(text)}\\l\\\n`;
}
