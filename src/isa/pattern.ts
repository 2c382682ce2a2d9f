// The assembler's side of the instruction table: a row's text as a sequence of things to expect, matched against the
// tokens of a statement. Every thing to expect takes a fixed course, so a pattern either matches or fails at one token,
// and the pattern that gets furthest says what was expected there.

import type { Instruction } from './instruction.js';
import type { InstructionRow } from './row.js';
import { INSTRUCTIONS } from './table.js';
import { type Token, tokenize } from './tokens.js';

/** Where a jump or call goes: a distance in slots, or a label to be looked up when all are known. */
export type Target = { readonly distance: number } | { readonly label: Token };

type Element = { readonly token: Token } | { readonly operand: string };

export interface Pattern {
  readonly row: InstructionRow;
  readonly elements: readonly Element[];
}

/** The fields that a match collects; what the row fixes is not in here. */
export type Draft = { -readonly [Field in keyof Instruction]?: number } & { target?: Target };

/** A statement that is no instance of a pattern: the token where it departs, and what would have been right. */
export interface Mismatch {
  readonly at: number;
  readonly expected: string;
}

function elementsOf(text: string): Element[] {
  return text.split(/(\{\w+\})/).flatMap((part): Element[] =>
    part.startsWith('{')
      ? [{ operand: part.slice(1, -1) }]
      : tokenize(part)
          .filter((token) => token.kind !== 'end')
          .map((token) => ({ token })),
  );
}

function compilePatterns(): Pattern[] {
  return INSTRUCTIONS.flatMap((row) =>
    [row.syntax.llvm, row.syntax.exact].flatMap((text) =>
      text === undefined ? [] : [{ row, elements: elementsOf(text) }],
    ),
  );
}

let patterns: readonly Pattern[] | undefined;
const byFirstWord = new Map<string, readonly Pattern[]>();

/**
 * The patterns of statements that begin with `word`, none when no statement does.
 * Where two match, the first is meant: `call 5` is a helper.
 */
export function patternsFor(word: string): readonly Pattern[] {
  const register = REGISTER.test(word);
  const key = register ? word.toLowerCase() : word;
  const known = byFirstWord.get(key);
  if (known !== undefined) return known;
  patterns ??= compilePatterns();
  const found = patterns.filter(({ elements: [first] }) =>
    first !== undefined && 'token' in first ? first.token.text === key : register,
  );
  // Only words that begin statements are kept, so that hostile input cannot fill the map.
  if (found.length > 0) byFirstWord.set(key, found);
  return found;
}

/** What an operand took: the index of the next token, or why it took nothing. */
type Taken = number | Mismatch;

const REGISTER = /^([rw])(10|[0-9])$/i;

const I32 = { min: -0x8000_0000n, max: 0xffff_ffffn, what: 'a 32-bit number' };
const I16 = { min: -0x8000n, max: 0x7fffn, what: 'a number from -32768 to 32767' };
const I64 = { min: -0x8000_0000_0000_0000n, max: 0xffff_ffff_ffff_ffffn, what: 'a 64-bit number' };
const SLOTS32 = { min: -0x8000_0000n, max: 0x7fff_ffffn, what: 'a distance of at most 32 bits' };
const U16 = { min: 0n, max: 0xffffn, what: 'a number from 0 to 65535' };

/** Matches `pattern` with the tokens from `start` to the end of their statement, filling `draft`. */
export function matchPattern(
  pattern: Pattern,
  tokens: readonly Token[],
  start: number,
  draft: Draft,
): number | Mismatch {
  let at = start;
  for (const element of pattern.elements) {
    const taken =
      'token' in element ? takeToken(element.token, tokens, at) : take(element.operand, tokens, at, draft);
    if (typeof taken !== 'number') return taken;
    at = taken;
  }
  return tokens[at]?.kind === 'end' ? at : { at, expected: 'the end of the statement' };
}

function takeToken(wanted: Token, tokens: readonly Token[], at: number): Taken {
  const found = tokens[at];
  const same =
    found !== undefined &&
    found.kind === wanted.kind &&
    (wanted.kind === 'number' ? found.value === wanted.value : sameWord(found.text, wanted.text));
  return same ? at + 1 : { at, expected: `"${wanted.text}"` };
}

/** Registers may be written in capitals; nothing else may. */
const sameWord = (found: string, wanted: string): boolean =>
  found === wanted || (REGISTER.test(wanted) && found.toLowerCase() === wanted);

function take(operand: string, tokens: readonly Token[], at: number, draft: Draft): Taken {
  switch (operand) {
    case 'rd':
    case 'wd':
    case 'xd':
      return takeRegister(operand, 'dst', tokens, at, draft);
    case 'rs':
    case 'ws':
    case 'xs':
      return takeRegister(operand, 'src', tokens, at, draft);
    case 'off':
      return takeDisplacement(tokens, at, draft);
    case 'goto':
      return takeTarget(I16, tokens, at, draft);
    case 'gotol':
      return takeTarget(SLOTS32, tokens, at, draft);
    case 'func':
      return takeFunction(tokens, at, draft);
    case 'imm':
    case 'immHex':
      return takeNumber(I32, tokens, at, (value) => {
        draft.imm = Number(BigInt.asIntN(32, value));
      });
    case 'immUpper':
      return takeNumber(U16, tokens, at, (value) => {
        draft.imm = (Number(value) << 16) | ((draft.imm ?? 0) & 0xffff);
      });
    case 'immLower':
      return takeNumber(U16, tokens, at, (value) => {
        draft.imm = ((draft.imm ?? 0) & ~0xffff) | Number(value);
      });
    case 'module':
      return takeNumber(I16, tokens, at, (value) => {
        draft.offset = Number(value);
      });
    case 'imm64':
    case 'hex64':
      return takeNumber(I64, tokens, at, (value) => {
        draft.imm = Number(BigInt.asIntN(32, value));
        draft.immHigh = Number(BigInt.asIntN(32, value >> 32n));
      });
    default:
      throw new Error(`the instruction table has a pattern with an unknown operand {${operand}}`);
  }
}

function takeRegister(
  operand: string,
  field: 'dst' | 'src',
  tokens: readonly Token[],
  at: number,
  draft: Draft,
): Taken {
  const width = operand.startsWith('r') ? 'r' : 'w';
  const name = REGISTER.exec(tokens[at]?.text ?? '');
  const letter = name?.[1]?.toLowerCase();
  if (name === null || !(letter === width || (operand.startsWith('x') && letter === 'r'))) {
    const either = operand.startsWith('x') ? ' or r0 to r10' : '';
    return { at, expected: `a register ${width}0 to ${width}10${either}` };
  }
  const number = Number(name[2]);
  const before = draft[field];
  if (before !== undefined && before !== number) {
    return { at, expected: `${letter}${before} again, the same register as before` };
  }
  draft[field] = number;
  return at + 1;
}

interface Range {
  readonly min: bigint;
  readonly max: bigint;
  readonly what: string;
}

function takeNumber(range: Range, tokens: readonly Token[], at: number, use: (value: bigint) => void): Taken {
  const sign = tokens[at]?.text;
  const next = sign === '-' || sign === '+' ? at + 1 : at;
  const token = tokens[next];
  if (token?.kind !== 'number') return { at, expected: range.what };
  const value = sign === '-' ? -token.value : token.value;
  if (value < range.min || value > range.max) return { at: next, expected: range.what };
  use(value);
  return next + 1;
}

function takeDisplacement(tokens: readonly Token[], at: number, draft: Draft): Taken {
  const sign = tokens[at]?.text;
  if (sign !== '+' && sign !== '-') return { at, expected: '"+" or "-" and an offset in bytes' };
  return takeNumber(I16, tokens, at, (value) => {
    draft.offset = Number(value);
  });
}

function takeTarget(range: Range, tokens: readonly Token[], at: number, draft: Draft): Taken {
  const token = tokens[at];
  if (token?.kind === 'name') {
    draft.target = { label: token };
    return at + 1;
  }
  const taken = takeNumber(range, tokens, at, (value) => {
    draft.target = { distance: Number(value) };
  });
  return typeof taken === 'number' ? taken : { at: taken.at, expected: `a label or ${taken.expected}` };
}

function takeFunction(tokens: readonly Token[], at: number, draft: Draft): Taken {
  const token = tokens[at];
  if (token?.kind !== 'name' || token.text === 'kfunc') return { at, expected: 'a label' };
  if (token.text === 'pc' && (tokens[at + 1]?.text === '+' || tokens[at + 1]?.text === '-')) {
    return takeTarget(SLOTS32, tokens, at + 1, draft);
  }
  return takeTarget(SLOTS32, tokens, at, draft);
}
