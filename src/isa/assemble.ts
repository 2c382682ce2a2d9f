// The assembler: text in the syntax that LLVM prints and accepts for BPF, to instructions.
//
//    entry:
//      r0 = *(u32 *)(r1 + 4)      # load
//      if r0 s> 10 goto out       # label, distance (+2) or numeric label (1f, 1b)
//      call helper; r0 = 1
//    out:
//      exit
//
// Statement by statement: labels, then the one pattern of the instruction table that fits; when all
// labels are known, the distances. Ours beyond LLVM: `call pc+5`, `call kfunc(id, module)`, `skb[r1 + 5]`.

import { SkepError } from '../base/error.js';
import { faultOf } from './check.js';
import { instruction } from './construct.js';
import type { Instruction } from './instruction.js';
import { type Draft, type Mismatch, matchPattern, type Pattern, patternsFor } from './pattern.js';
import { placeOf, type Token, tokenize } from './tokens.js';

/** What assembly text stands for. */
export interface Assembly {
  readonly insns: Instruction[];
  /** The slot of every named label. */
  readonly labels: ReadonlyMap<string, number>;
  /** The line, from 1, that each instruction was written on. */
  readonly lines: number[];
}

/** Directives of a compiler's output that make no code and may be left out. */
const IGNORED_DIRECTIVES = new Set([
  '.addrsig',
  '.addrsig_sym',
  '.file',
  '.global',
  '.globl',
  '.hidden',
  '.ident',
  '.loc',
  '.local',
  '.p2align',
  '.size',
  '.text',
  '.type',
  '.weak',
]);

/** How many of the things that would have been right an error lists. */
const LISTED = 6;

interface Statement {
  readonly pattern: Pattern;
  readonly draft: Draft;
  readonly slot: number;
  readonly token: Token;
}

interface Labels {
  readonly named: Map<string, number>;
  /** Numeric labels may be defined many times: the slots of each, ascending. */
  readonly numeric: Map<string, number[]>;
}

/**
 * Assembles `text`. Throws a SkepError with line and column and what was expected there.
 */
export function assemble(text: string): Instruction[] {
  return assembleUnit(text).insns;
}

/** Assembles `text` and keeps its labels and lines. Throws as `assemble` does. */
export function assembleUnit(text: string): Assembly {
  const tokens = tokenize(text);
  const labels: Labels = { named: new Map(), numeric: new Map() };
  const statements: Statement[] = [];
  let slot = 0;
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at];
    if (token === undefined || token.kind === 'end') {
      at++;
    } else if (token.kind !== 'sign' && tokens[at + 1]?.text === ':') {
      define(labels, token, slot);
      at += 2;
    } else if (token.text.startsWith('.')) {
      const start = at;
      while (tokens[at]?.kind !== 'end') at++;
      directive(token, tokens.slice(start + 1, at));
    } else {
      const { pattern, draft, next } = parseStatement(tokens, at);
      statements.push({ pattern, draft, slot, token });
      slot += pattern.row.immHigh === undefined ? 1 : 2;
      at = next;
    }
  }
  return {
    insns: statements.map((statement) => finish(statement, labels)),
    labels: labels.named,
    lines: statements.map(({ token }) => token.line),
  };
}

function fail(token: Token, message: string): never {
  throw new SkepError(message, { where: placeOf(token) });
}

/** Passes over a directive that makes no code; a code section goes on where the last one ended. */
function directive(token: Token, operands: readonly Token[]): void {
  if (IGNORED_DIRECTIVES.has(token.text) || token.text.startsWith('.cfi_')) return;
  if (token.text !== '.section') fail(token, `the directive ${token.text} is not supported`);
  const flags = operands.find(({ text }) => text.startsWith('"'))?.text ?? '';
  if (!flags.includes('x')) fail(token, `the section ${operands[0]?.text ?? ''} has no code`);
}

function define(labels: Labels, token: Token, slot: number): void {
  if (token.kind === 'number') {
    const name = token.value.toString();
    const slots = labels.numeric.get(name) ?? [];
    slots.push(slot);
    labels.numeric.set(name, slots);
    return;
  }
  if (labels.named.has(token.text)) fail(token, `the label ${token.text} is defined twice`);
  labels.named.set(token.text, slot);
}

function parseStatement(
  tokens: readonly Token[],
  start: number,
): { pattern: Pattern; draft: Draft; next: number } {
  let furthest: Mismatch[] = [];
  for (const pattern of patternsFor(tokens[start]?.text ?? '')) {
    const draft: Draft = {};
    const result = matchPattern(pattern, tokens, start, draft);
    if (typeof result === 'number') return { pattern, draft, next: result };
    const best = furthest[0]?.at ?? -1;
    if (result.at > best) furthest = [result];
    else if (result.at === best) furthest.push(result);
  }
  const token = tokens[furthest[0]?.at ?? start] ?? tokens[start];
  if (token === undefined) throw new Error('a statement has at least one token');
  const found = token.kind === 'end' ? 'the statement ends' : `found "${token.text}"`;
  const expected = (furthest[0]?.at ?? start) === start ? 'an instruction' : choice(furthest);
  return fail(token, `expected ${expected}, but ${found}`);
}

function choice(mismatches: readonly Mismatch[]): string {
  const all = [...new Set(mismatches.map(({ expected }) => expected))];
  const shown = all.slice(0, LISTED);
  if (all.length > LISTED) return `${shown.join(', ')} or one of ${all.length - LISTED} more`;
  const last = shown.pop();
  return shown.length === 0 ? `${last}` : `${shown.join(', ')} or ${last}`;
}

function finish(statement: Statement, labels: Labels): Instruction {
  const { pattern, draft, slot, token } = statement;
  const { target, ...values } = draft;
  if (target !== undefined) {
    const wide = pattern.row.imm === 'distance';
    const distance = 'distance' in target ? target.distance : resolve(labels, target.label, slot) - slot - 1;
    if (!wide && (distance < -0x8000 || distance > 0x7fff)) {
      fail(token, `the label is ${distance} slots away, but this jump reaches 32767; use gotol`);
    }
    values[wide ? 'imm' : 'offset'] = distance;
  }
  const insn = instruction(pattern.row, values);
  const upper = pattern.row.immHigh === 0 ? (values.immHigh ?? 0) : 0;
  const fault = faultOf(upper === 0 ? insn : { ...insn, immHigh: upper });
  if (fault !== undefined) fail(token, fault.message);
  return insn;
}

function resolve(labels: Labels, token: Token, slot: number): number {
  const numeric = /^([0-9]+)([bf])$/.exec(token.text);
  const target =
    numeric === null
      ? labels.named.get(token.text)
      : nearest(labels.numeric.get(BigInt(numeric[1] ?? 0).toString()) ?? [], numeric[2] === 'b', slot);
  if (target === undefined) fail(token, `the label ${token.text} is not defined`);
  return target;
}

/** The last of the ascending `slots` up to `slot` when looking back, else the first one after it. */
function nearest(slots: readonly number[], back: boolean, slot: number): number | undefined {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((slots[middle] ?? 0) <= slot) low = middle + 1;
    else high = middle;
  }
  return slots[back ? low - 1 : low];
}
