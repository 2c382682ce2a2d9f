// The bytes of a file as they come in: a window that grows at its end and is consumed at its start. It holds
// what one record needs and no more, whatever lengths the file claims, because it only grows by bytes that are there.

import { SkepError } from '../base/error.js';

/** A sliding window over a stream of bytes. */
export class Input {
  /** Holds the window; `start` and `end` delimit it. Both change with `append`. */
  bytes = new Uint8Array(1 << 16);
  view = new DataView(this.bytes.buffer);
  start = 0;
  end = 0;
  /** No more bytes will come. */
  finished = false;
  #discard = 0;
  #consumed = 0;

  /** Bytes in the window. */
  get available(): number {
    return this.end - this.start;
  }

  /** Where in the file the window starts, in bytes. */
  get position(): number {
    return this.#consumed;
  }

  /** Bytes that were to be skipped and have not come yet. */
  get missing(): number {
    return this.#discard;
  }

  append(chunk: Uint8Array): void {
    const skip = Math.min(this.#discard, chunk.length);
    this.#discard -= skip;
    this.#consumed += skip;
    const length = chunk.length - skip;
    if (this.end + length > this.bytes.length) this.#makeRoom(length);
    this.bytes.set(skip === 0 ? chunk : chunk.subarray(skip), this.end);
    this.end += length;
  }

  /** Drops `count` bytes from the start, among them such that have not come yet. */
  skip(count: number): void {
    const here = Math.min(count, this.available);
    this.start += here;
    this.#consumed += here;
    this.#discard = count - here;
  }

  #makeRoom(length: number): void {
    const held = this.available;
    let target = this.bytes;
    if (held + length > target.length) {
      target = new Uint8Array(Math.max(held + length, 2 * target.length));
    }
    target.set(this.bytes.subarray(this.start, this.end));
    if (target !== this.bytes) {
      this.bytes = target;
      this.view = new DataView(target.buffer);
    }
    this.start = 0;
    this.end = held;
  }
}

/** Reads packets from one file format. */
export interface Format {
  /** What the file is, for error messages: "pcap file". */
  readonly what: string;
  /**
   * Consumes whole records while there are any; true when the block that is being built is full and must
   * be taken first, false when more bytes are needed. Throws a SkepError at the first damage.
   */
  parse(input: Input): boolean;
  /** Throws a SkepError when the file may not end here; called once with the bytes that are left. */
  finish(input: Input): void;
}

/** A SkepError that names the place in the file. */
export const damage = (what: string, position: number, message: string, hint = ''): SkepError =>
  new SkepError(message, { where: `${what}, byte ${position}`, hint });
