// The string table of BTF: NUL-terminated strings, addressed by the byte offset of any of their characters.
// The table is decoded once; a string is then a slice of that text, so that a file in which thousands of
// names point into one long string costs no more than its size.

import { SkepError } from '../base/error.js';

/** How far a string's end is looked for byte by byte before the table of ends is made. */
const NEAR = 256;

/** The strings of one BTF and, below them, of its base. */
export class BtfStrings {
  readonly bytes: Uint8Array;
  /** The offset of the first string: above 0 in split BTF, whose base has the strings below. */
  readonly start: number;
  readonly #base: BtfStrings | undefined;
  #text: string | undefined;
  /** For each byte offset the index in the text; undefined where the two are equal. */
  #index: Uint32Array | undefined;
  #ends: Uint32Array | undefined;

  constructor(bytes: Uint8Array, base?: BtfStrings) {
    if (bytes.length === 0 && base === undefined) {
      throw new SkepError('the string table is empty; its first byte must be NUL', { where: 'BTF' });
    }
    if (bytes.length > 0 && bytes[bytes.length - 1] !== 0) {
      throw new SkepError('the string table does not end with a NUL byte', { where: 'BTF' });
    }
    if (base === undefined && bytes[0] !== 0) {
      throw new SkepError('the string table does not begin with a NUL byte', { where: 'BTF' });
    }
    this.bytes = bytes;
    this.#base = base;
    this.start = base === undefined ? 0 : base.end;
  }

  /** The first offset beyond the table. */
  get end(): number {
    return this.start + this.bytes.length;
  }

  /** The string at `offset`; throws a SkepError when that is outside the table. */
  at(offset: number): string {
    if (offset < this.start && this.#base !== undefined) return this.#base.at(offset);
    const from = offset - this.start;
    if (!(from >= 0 && from < this.bytes.length)) {
      throw new SkepError(`string offset ${offset} is outside the string table of ${this.end} bytes`, {
        where: 'BTF',
      });
    }
    const text = this.#text ?? this.#decode();
    const to = this.#end(from);
    const index = this.#index;
    return index === undefined ? text.slice(from, to) : text.slice(index[from], index[to]);
  }

  #end(from: number): number {
    const bytes = this.bytes;
    const near = Math.min(from + NEAR, bytes.length);
    for (let i = from; i < near; i++) if (bytes[i] === 0) return i;
    const ends = this.#ends ?? this.#findEnds();
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] ?? 0) < from) low = middle + 1;
      else high = middle;
    }
    return ends[low] ?? bytes.length - 1;
  }

  #findEnds(): Uint32Array {
    const { bytes } = this;
    let count = 0;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) count++;
    const ends = new Uint32Array(count);
    for (let i = bytes.indexOf(0), n = 0; i >= 0; i = bytes.indexOf(0, i + 1)) ends[n++] = i;
    this.#ends = ends;
    return ends;
  }

  /** As UTF-8; a table that is not valid UTF-8 is taken byte by byte. */
  #decode(): string {
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes);
    } catch {
      const parts: string[] = [];
      for (let i = 0; i < this.bytes.length; i += 8192) {
        parts.push(String.fromCharCode(...this.bytes.subarray(i, i + 8192)));
      }
      text = parts.join('');
    }
    if (text.length !== this.bytes.length) {
      const index = new Uint32Array(this.bytes.length + 1);
      for (let i = 0, at = 0; i < text.length; ) {
        const code = text.codePointAt(i) ?? 0;
        const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (let k = 0; k < size; k++) index[at++] = i;
        i += code < 0x10000 ? 1 : 2;
      }
      index[this.bytes.length] = text.length;
      this.#index = index;
    }
    this.#text = text;
    return text;
  }
}
