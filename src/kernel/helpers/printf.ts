// The formats of bpf_trace_printk and its kin, exactly as Linux has them (kernel/bpf/helpers.c:
// bpf_bprintf_prepare; lib/vsprintf.c: bstr_printf).
//
//   %[0 + - space]*[width](d i u x X ld lu lx lld llu llx ...) | c | s
//   %[...]p  p[xK]  p[sSB] symbol  p[ku]s string  p[Ii][46] address  %%
//
// Linux works in two steps, and some odd answers come from that: first the format is checked and the
// arguments are packed into 512 bytes, strings and addresses already as text; then the text is made from the
// packed arguments. Both steps are here.

import { Errno } from '../../bpf/errno.js';

/** Memory as %s and %pI see it: bytes at a kernel pointer; fewer, or none, where it ends. */
export interface PrintfMemory {
  bytesAt(pointer: bigint, limit: number): Uint8Array;
}

export interface Printed {
  /** What printf returns: the length of the whole text, also when it was cut; or a negative errno. */
  result: number;
  /** The text up to its first NUL, at most 1023 bytes. */
  text: Uint8Array;
}

/** MAX_BPRINTF_BIN_ARGS and MAX_BPRINTF_BUF. */
const packedLimit = 512;
const textLimit = 1024;

/** FIELD_WIDTH_MAX. */
const widthLimit = 2 ** 23 - 1;

const flagLeft = 1;
const flagPlus = 2;
const flagSpace = 4;
const flagZero = 8;
const flagSigned = 16;
const flagUpper = 32;

const flagOf: Readonly<Record<string, number>> = {
  '-': flagLeft,
  '+': flagPlus,
  ' ': flagSpace,
  '0': flagZero,
};

// The kernel's <ctype.h> knows Latin-1: 0xa0 is a space, letters begin at 0xc0.
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13) || code === 0xa0;
const isLetterOrDigit = (code: number): boolean =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  (code >= 0xc0 && code !== 0xd7 && code !== 0xf7);
const isPunctuation = (code: number): boolean =>
  ((code > 32 && code < 127) || code > 0xa0) && !isLetterOrDigit(code);

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9';
const isAlphanumeric = (char: string): boolean => char !== '' && isLetterOrDigit(char.charCodeAt(0));
/** The end of the format, white space or punctuation (%p and %s must be followed by one of them). */
const endsWord = (char: string): boolean =>
  char === '' || isSpace(char.charCodeAt(0)) || isPunctuation(char.charCodeAt(0));

function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** `%pI4 %pi4 %pI6 %pi6`: the capital I separates groups and drops leading zeros of IPv4. */
export function addressText(address: Uint8Array, kind: string): string {
  if (address.length === 4) {
    return Array.from(address, (byte) => String(byte).padStart(kind === 'i' ? 3 : 1, '0')).join('.');
  }
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    groups.push((((address[at] ?? 0) << 8) | (address[at + 1] ?? 0)).toString(16).padStart(4, '0'));
  }
  return groups.join(kind === 'i' ? '' : ':');
}

/** What a symbol conversion prints for an address that no symbol covers: there are none here. */
const symbolText = (address: bigint): string => `0x${address.toString(16)}`;

// Both steps work in the same memory at every call: making it anew would cost more than the printing.
const packedBytes = new Uint8Array(packedLimit);
const packedView = new DataView(packedBytes.buffer);
const textBytes = new Uint8Array(textLimit);

/** The packed arguments (until the next call), or a negative errno. */
function pack(format: string, args: BigUint64Array, memory: PrintfMemory): DataView | number {
  const view = packedView;
  const packed = packedBytes.fill(0);
  let used = 0;
  let taken = 0;

  /** Appends a number of 4 or 8 bytes; false when it does not fit. */
  const number = (size: 4 | 8): boolean => {
    used = (used + 3) & ~3;
    if (packedLimit - used < size) return false;
    const value = args[taken++] ?? 0n;
    if (size === 8) view.setBigUint64(used, value, true);
    else view.setUint32(used, Number(value & 0xffffffffn), true);
    used += size;
    return true;
  };
  /** Appends text and a NUL, cut where the room ends. */
  const text = (bytes: Uint8Array): void => {
    packed.set(bytes.subarray(0, Math.max(0, packedLimit - used - 1)), used);
    used += bytes.length + 1;
  };

  for (let i = 0; i < format.length; i++) {
    const code = format.charCodeAt(i);
    if (code === 127 || (code < 32 && !isSpace(code))) return -Errno.EINVAL;
    if (format[i] !== '%') continue;
    if (format[i + 1] === '%') {
      i++;
      continue;
    }
    if (taken >= args.length) return -Errno.EINVAL;
    i++;
    while (flagOf[format[i] ?? ''] !== undefined) i++;
    while (isDigit(format[i])) i++;

    let kind = format[i] ?? '';
    if (kind === 'p') {
      const next = format[i + 1] ?? '';
      const after = format[i + 2] ?? '';
      if (endsWord(next) || next === 'K' || next === 'x' || next === 's' || next === 'S') {
        if (!endsWord(next)) i++;
        if (!number(8)) return -Errno.ENOSPC;
        continue;
      }
      if (next === 'B') {
        i++;
        text(ascii(symbolText(args[taken++] ?? 0n)));
        continue;
      }
      if ((next === 'k' || next === 'u') && after === 's') {
        i += 2;
        kind = next === 'k' ? 's' : 'user';
      } else {
        if ((next !== 'i' && next !== 'I') || (after !== '4' && after !== '6')) return -Errno.EINVAL;
        i += 2;
        const size = after === '4' ? 4 : 16;
        if (packedLimit - used < size) return -Errno.ENOSPC;
        const found = memory.bytesAt(args[taken++] ?? 0n, size);
        text(ascii(addressText(found.length === size ? found : new Uint8Array(size), next)));
        continue;
      }
    }
    if (kind === 's' || kind === 'user') {
      if (!endsWord(format[i + 1] ?? '')) return -Errno.EINVAL;
      const room = packedLimit - used;
      if (room <= 0) return -Errno.ENOSPC;
      const value = args[taken++] ?? 0n;
      // No process, so no memory of one: such a string is empty.
      const found = kind === 'user' ? new Uint8Array(0) : memory.bytesAt(value, room);
      const end = found.indexOf(0);
      if (end >= 0) text(found.subarray(0, end));
      else text(found.length === room ? found.subarray(0, room - 1) : new Uint8Array(0));
      continue;
    }
    if (kind === 'c') {
      if (packedLimit - used <= 0) return -Errno.ENOSPC;
      packed[used++] = Number((args[taken++] ?? 0n) & 0xffn);
      continue;
    }
    let size: 4 | 8 = 4;
    for (let long = 0; long < 2 && format[i] === 'l'; long++) {
      size = 8;
      i++;
    }
    if (!/^[diuxX]$/.test(format[i] ?? '')) return -Errno.EINVAL;
    if (!number(size)) return -Errno.ENOSPC;
  }
  return view;
}

/** Text of a bounded length that knows how long it would be without the bound. */
class Output {
  readonly bytes = textBytes;
  length = 0;

  byte(code: number): void {
    if (this.length < textLimit) this.bytes[this.length] = code;
    this.length++;
  }

  append(bytes: Uint8Array): void {
    const end = Math.min(bytes.length, textLimit - this.length);
    for (let i = 0; i < end; i++) this.bytes[this.length + i] = bytes[i] ?? 0;
    this.length += bytes.length;
  }

  /** `count` times the same byte; nothing for a negative count. */
  repeat(code: number, count: number): void {
    if (count <= 0) return;
    if (this.length < textLimit) this.bytes.fill(code, this.length, this.length + count);
    this.length += count;
  }
}

/** One conversion's flags and width; width -1 stands for none. */
interface Spec {
  flags: number;
  width: number;
}

function printNumber(out: Output, value: bigint, base: 10 | 16, { flags, width }: Spec): void {
  let sign = '';
  let magnitude = value;
  if (flags & flagSigned) {
    if (value < 0n) {
      sign = '-';
      magnitude = -value;
    } else if (flags & flagPlus) sign = '+';
    else if (flags & flagSpace) sign = ' ';
  }
  const digits = magnitude.toString(base);
  const padding = width - digits.length - sign.length;
  const zero = (flags & flagZero) !== 0 && (flags & flagLeft) === 0;
  if (!zero && !(flags & flagLeft)) out.repeat(32, padding);
  out.append(ascii(sign));
  if (zero) out.repeat(48, padding);
  out.append(ascii(flags & flagUpper ? digits.toUpperCase() : digits));
  if (flags & flagLeft) out.repeat(32, padding);
}

/** Text in its width, always padded with spaces. */
function printText(out: Output, bytes: Uint8Array, { flags, width }: Spec): void {
  const padding = width - bytes.length;
  if (!(flags & flagLeft)) out.repeat(32, padding);
  out.append(bytes);
  if (flags & flagLeft) out.repeat(32, padding);
}

/** An address: 16 hex digits unless a width is given. */
function printAddress(out: Output, address: bigint, spec: Spec): void {
  printNumber(out, address, 16, spec.width === -1 ? { flags: spec.flags | flagZero, width: 16 } : spec);
}

/**
 * What %p prints instead of an address: 32 bits that tell nothing about it, the same for the same address.
 * Null and error values are printed as they are, as in Linux.
 */
function hashedAddress(address: bigint): bigint {
  if (address === 0n || address >= 0xfffffffffffff001n) return address;
  let mixed = BigInt.asUintN(64, (address ^ (address >> 31n)) * 0x9e3779b97f4a7c15n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 29n)) * 0xbf58476d1ce4e5b9n);
  return mixed >> 32n;
}

/** Makes the text from packed arguments. */
function unpack(format: string, packed: DataView): Output {
  const out = new Output();
  const all = packedBytes;
  let at = 0;

  const number = (size: number): bigint => {
    at = (at + 3) & ~3;
    const value = size === 8 ? packed.getBigUint64(at, true) : BigInt(packed.getUint32(at, true));
    at += size;
    return value;
  };
  const text = (): Uint8Array => {
    const end = all.indexOf(0, at);
    const bytes = all.subarray(at, end < 0 ? all.length : end);
    at += bytes.length + 1;
    return bytes;
  };

  for (let i = 0; i < format.length; i++) {
    if (format[i] !== '%') {
      out.byte(format.charCodeAt(i));
      continue;
    }
    i++;
    const spec: Spec = { flags: 0, width: -1 };
    for (let flag = flagOf[format[i] ?? '']; flag !== undefined; flag = flagOf[format[++i] ?? ''])
      spec.flags |= flag;
    if (isDigit(format[i])) {
      let width = 0;
      for (; isDigit(format[i]); i++) width = (Math.imul(width, 10) + Number(format[i])) | 0;
      spec.width = Math.min(width, widthLimit);
    }
    switch (format[i]) {
      case '%':
        out.byte(37);
        break;
      case 'c':
        printText(out, all.slice(at, at + 1), spec);
        at++;
        break;
      case 's':
        printText(out, text(), spec);
        break;
      case 'p': {
        const next = format[i + 1] ?? '';
        if (next === 'x') printAddress(out, number(8), spec);
        else if (next === 's' || next === 'S') printText(out, ascii(symbolText(number(8))), spec);
        else if (next === 'K' || !isAlphanumeric(next)) printAddress(out, hashedAddress(number(8)), spec);
        else if (out.length < textLimit) out.append(text());
        // What follows the letters of a pointer conversion is taken for part of it.
        while (isAlphanumeric(format[i + 1] ?? '')) i++;
        break;
      }
      default: {
        let size = 4;
        for (; format[i] === 'l'; i++) size = 8;
        const kind = format[i];
        const value = number(size);
        if (kind === 'd' || kind === 'i') {
          printNumber(out, BigInt.asIntN(size * 8, value), 10, { ...spec, flags: spec.flags | flagSigned });
        } else if (kind === 'u') printNumber(out, value, 10, spec);
        else printNumber(out, value, 16, kind === 'X' ? { ...spec, flags: spec.flags | flagUpper } : spec);
      }
    }
  }
  return out;
}

/**
 * Formats `args` by `format`, a byte string that must hold a NUL. The result is what the helper returns:
 * the length of the text, or -EINVAL (a format that Linux refuses, too few arguments) or -ENOSPC (arguments
 * that do not fit into 512 bytes); then there is no text.
 */
export function printf(format: Uint8Array, args: BigUint64Array, memory: PrintfMemory): Printed {
  const nothing = new Uint8Array(0);
  const end = format.indexOf(0);
  if (end < 0) return { result: -Errno.EINVAL, text: nothing };
  let chars = '';
  for (let i = 0; i < end; i++) chars += String.fromCharCode(format[i] ?? 0);
  const packed = pack(chars, args, memory);
  if (typeof packed === 'number') return { result: packed, text: nothing };
  const out = unpack(chars, packed);
  const kept = Math.min(out.length, textLimit - 1);
  const nul = out.bytes.subarray(0, kept).indexOf(0);
  return { result: out.length | 0, text: out.bytes.slice(0, nul < 0 ? kept : nul) };
}
