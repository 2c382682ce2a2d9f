// Messages as they lie in the stream of bytes: a length of four bytes, little-endian, and as many bytes.

import { SkepError } from '../base/error.js';

const HEADER = 4;

/** The longest message, in bytes: what both sides must be ready to hold. */
export const MAX_FRAME = 64 << 20;

/** The stream is not what it should be; nothing that follows can be understood. */
export class FrameError extends SkepError {}

/** The bytes of a frame. The body must not be longer than MAX_FRAME. */
export function frame(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, HEADER);
  return bytes;
}

/** Puts frames together again. What is announced takes no memory before it has come. */
export class FrameReader {
  /** The longest frame that is taken. */
  limit: number;
  #parts: Uint8Array[] = [];
  #length = 0;
  #header = -1;

  constructor(limit = MAX_FRAME) {
    this.limit = limit;
  }

  /** Takes bytes of the stream. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** The next frame that is complete, in memory of its own. Throws a FrameError when one that is too long is announced. */
  next(): Uint8Array | undefined {
    if (this.#header < 0) {
      if (this.#length < HEADER) return undefined;
      const header = this.#take(HEADER);
      this.#header = new DataView(header.buffer).getUint32(0, true);
    }
    if (this.#header > this.limit) {
      throw new FrameError(`a message of ${this.#header} bytes was announced, ${this.limit} is the most`);
    }
    if (this.#length < this.#header) return undefined;
    const body = this.#take(this.#header);
    this.#header = -1;
    return body;
  }

  #take(size: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(size);
    let at = 0;
    let used = 0;
    while (at < size) {
      const part = this.#parts[used] as Uint8Array;
      const piece = part.subarray(0, size - at);
      taken.set(piece, at);
      at += piece.length;
      if (piece.length === part.length) used++;
      else this.#parts[used] = part.subarray(piece.length);
    }
    this.#parts.splice(0, used);
    this.#length -= size;
    return taken;
  }
}
