// The words of BPF assembly. Statements end at a line end or a semicolon; comments run from # or // to the line's
// end, or stand between /* and */.

import { SkepError } from '../base/error.js';

export type TokenKind = 'name' | 'number' | 'sign' | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** The value of a number, otherwise 0. */
  readonly value: bigint;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

const BLANK = /[ \t\r\f]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const NAME = /[A-Za-z_.$][\w.$@]*/y;
const NUMBER = /[0-9]\w*/y;
const SIGN = /<<=|>>=|[-+*/|&%^=!<>]=|<<|>>|[-+*/|&%^=!<>()[\],:~@]/y;
const STRING = /"(?:[^"\\\n]|\\.)*"/y;

/** 0x.., 0b.., octal with a leading 0, or decimal: as LLVM reads integers. */
function numberValue(text: string): bigint | undefined {
  if (/^0x[0-9a-f]+$/i.test(text) || /^0b[01]+$/i.test(text)) return BigInt(text);
  if (/^0[0-7]+$/.test(text)) return BigInt(`0o${text.slice(1)}`);
  return /^(0|[1-9][0-9]*)$/.test(text) ? BigInt(text) : undefined;
}

/** `1b` and `2f`, the references to numeric labels, are names. */
const LOCAL_REFERENCE = /^[0-9]+[bf]$/;

/** The longest number that is read: 64 bits in binary and `0b`. */
const NUMBER_DIGITS = 66;

/** Cuts `text` into tokens; each line ends with an `end` token. Throws a SkepError at what is no token. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineStart = 0;
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const column = at - lineStart + 1;
    const push = (kind: TokenKind, word: string, value = 0n): void => {
      tokens.push({ kind, text: word, value, line, column });
      at += word.length;
    };
    const blank = match(BLANK);
    if (blank === undefined && text.startsWith('/*', at)) {
      throw new SkepError('the comment is not closed by "*/"', { where: placeOf({ line, column }) });
    }
    if (blank !== undefined) {
      for (let i = 0; i < blank.length; i++) {
        if (blank[i] !== '\n') continue;
        line++;
        lineStart = at + i + 1;
      }
      at += blank.length;
      continue;
    }
    const char = text[at];
    if (char === '\n' || char === ';') {
      push('end', char);
      if (char === '\n') {
        line++;
        lineStart = at;
      }
      continue;
    }
    const number = match(NUMBER);
    if (number !== undefined) {
      const value = number.length > NUMBER_DIGITS ? undefined : numberValue(number);
      if (value !== undefined) push('number', number, value);
      else if (LOCAL_REFERENCE.test(number)) push('name', number);
      else throw new SkepError(`"${number}" is no number`, { where: placeOf({ line, column }) });
      continue;
    }
    const name = match(NAME) ?? match(STRING);
    if (name !== undefined) {
      push('name', name);
      continue;
    }
    const sign = match(SIGN);
    if (sign === undefined) {
      throw new SkepError(`"${char}" has no meaning in BPF assembly`, { where: placeOf({ line, column }) });
    }
    push('sign', sign);
  }
  tokens.push({ kind: 'end', text: '', value: 0n, line, column: at - lineStart + 1 });
  return tokens;
}

/** "line 3, column 8". */
export const placeOf = (token: { readonly line: number; readonly column: number }): string =>
  `line ${token.line}, column ${token.column}`;
