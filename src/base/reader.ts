// A bounded reader over bytes from outside: every read is checked and a failing one says
// what was being read, at which offset, and how much was there.

import { SkepError } from './error.js';

const utf8 = new TextDecoder();

/** Reads integers, bytes and strings from `bytes`, in one byte order, never beyond the end. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  /** What the bytes are, for error messages: "ELF file", "BTF". */
  readonly what: string;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, littleEndian: boolean, what: string) {
    this.bytes = bytes;
    this.littleEndian = littleEndian;
    this.what = what;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Throws a SkepError unless `size` bytes at `offset` are there; `field` names what was wanted. */
  need(offset: number, size: number, field: string): void {
    if (!(offset >= 0 && size >= 0 && offset + size <= this.bytes.length)) {
      throw new SkepError(
        `${field} needs ${size} bytes at offset ${offset}, but there are ${this.bytes.length} bytes`,
        { where: this.what, hint: 'It was cut off or is damaged: make or copy it again.' },
      );
    }
  }

  u8(offset: number, field: string): number {
    this.need(offset, 1, field);
    return this.#view.getUint8(offset);
  }

  u16(offset: number, field: string): number {
    this.need(offset, 2, field);
    return this.#view.getUint16(offset, this.littleEndian);
  }

  i16(offset: number, field: string): number {
    this.need(offset, 2, field);
    return this.#view.getInt16(offset, this.littleEndian);
  }

  u32(offset: number, field: string): number {
    this.need(offset, 4, field);
    return this.#view.getUint32(offset, this.littleEndian);
  }

  i32(offset: number, field: string): number {
    this.need(offset, 4, field);
    return this.#view.getInt32(offset, this.littleEndian);
  }

  u64(offset: number, field: string): bigint {
    this.need(offset, 8, field);
    return this.#view.getBigUint64(offset, this.littleEndian);
  }

  slice(offset: number, size: number, field: string): Uint8Array {
    this.need(offset, size, field);
    return this.bytes.subarray(offset, offset + size);
  }

  /** The string that starts at `offset` and ends at the next NUL byte, which must exist. */
  cstring(offset: number, field: string): string {
    this.need(offset, 1, field);
    const end = this.bytes.indexOf(0, offset);
    if (end < 0) {
      throw new SkepError(`${field} at offset ${offset} is not terminated`, { where: this.what });
    }
    return utf8.decode(this.bytes.subarray(offset, end));
  }
}
