// Bytes as they are typed (`key 1 0 0 0`, `value hex ff 00`) and as they are printed.

import { type Arguments, isPrefix } from './arguments.js';
import { parseUnsigned32 } from './number.js';
import { ToolError } from './tool-error.js';

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

/** Takes `count` bytes: numbers in C's notation, or after `hex` hexadecimal ones. `what` is whose bytes, for the error. */
export function takeBytes(args: Arguments, what: string, count: number): Uint8Array {
  const base = args.peek !== undefined && isPrefix(args.peek, 'hex') ? 16 : 0;
  if (base === 16) args.skip();
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at++) {
    const word = args.peek;
    if (word === undefined) throw new ToolError(`${what} expected ${count} bytes got ${at}`);
    const value = parseUnsigned32(word, base);
    if (value === undefined) throw new ToolError(`error parsing byte: ${word}`);
    bytes[at] = value;
    args.skip();
  }
  return bytes;
}

/** Two digits a byte, sixteen bytes a line with a gap in the middle. `separator` stands between the others. */
export function hexLines(bytes: Uint8Array, separator = ' '): string {
  let text = '';
  bytes.forEach((byte, at) => {
    if (at === 0) text += hex(byte);
    else if (at % 16 === 0) text += `\n${hex(byte)}`;
    else if (at % 8 === 0) text += `  ${hex(byte)}`;
    else text += separator + hex(byte);
  });
  return text;
}

/** `["0x01","0xff"]`: how JSON shows bytes. */
export const hexArray = (bytes: Uint8Array): string[] => Array.from(bytes, (byte) => `0x${hex(byte)}`);
