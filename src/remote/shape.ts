// A look over a message before it is read: that every list and text it announces can lie in it. Without this a few bytes
// could announce lists that take all memory.

import { FrameError } from './frames.js';

/** Lists within lists. */
const MAX_DEPTH = 32;

const refuse = (detail: string): never => {
  throw new FrameError(`a message cannot be read: ${detail}`);
};

/** Bytes of the length field and of the fixed part behind the first byte, from 0xc0 on; what each has besides. */
interface Format {
  /** Bytes of the length field. */
  readonly length: 0 | 1 | 2 | 4;
  /** Bytes that follow in any case. */
  readonly fixed: number;
  /** What the length counts: bytes, values, or pairs of values. */
  readonly counts: 0 | 1 | 2;
}
const plain = (fixed: number): Format => ({ length: 0, fixed, counts: 0 });
const bytes = (length: 1 | 2 | 4, fixed = 0): Format => ({ length, fixed, counts: 0 });
const values = (length: 2 | 4, counts: 1 | 2): Format => ({ length, fixed: 0, counts });

/** MessagePack's formats 0xc0 to 0xdf, in the order of their first byte. */
const formats: readonly (Format | undefined)[] = [
  plain(0), // nil
  undefined,
  plain(0), // false
  plain(0), // true
  bytes(1), // bin
  bytes(2),
  bytes(4),
  bytes(1, 1), // ext, with its type
  bytes(2, 1),
  bytes(4, 1),
  plain(4), // float
  plain(8),
  plain(1), // uint
  plain(2),
  plain(4),
  plain(8),
  plain(1), // int
  plain(2),
  plain(4),
  plain(8),
  plain(2), // fixext, with its type
  plain(3),
  plain(5),
  plain(9),
  plain(17),
  bytes(1), // str
  bytes(2),
  bytes(4),
  values(2, 1), // array
  values(4, 1),
  values(2, 2), // map
  values(4, 2),
];

/** Throws a FrameError unless `message` is one value, and everything that it announces is there. */
export function checkShape(message: Uint8Array): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const end = message.length;
  /** Values still to come in each of the lists that are open, the outermost first. */
  const open = [1];
  /** The sum of these: each takes a byte at least. */
  let expected = 1;
  let at = 0;
  while (open.length > 0) {
    const last = open.length - 1;
    if (open[last] === 0) {
      open.pop();
      continue;
    }
    (open[last] as number)--;
    expected--;
    if (at >= end) refuse('it ends too early');
    const first = message[at++] as number;
    let size = 0;
    let list = 0;
    if (first < 0x80 || first >= 0xe0) size = 0;
    else if (first < 0x90) list = (first & 15) * 2;
    else if (first < 0xa0) list = first & 15;
    else if (first < 0xc0) size = first & 31;
    else {
      const format = formats[first - 0xc0] ?? refuse(`there is no value that begins with ${first}`);
      if (at + format.length > end) refuse('it ends too early');
      const count =
        format.length === 4
          ? view.getUint32(at)
          : format.length === 2
            ? view.getUint16(at)
            : format.length === 1
              ? view.getUint8(at)
              : 0;
      at += format.length;
      size = format.fixed + (format.counts === 0 ? count : 0);
      list = format.counts * count;
    }
    at += size;
    expected += list;
    if (at + expected > end) refuse('it ends too early');
    if (list > 0) {
      if (open.length > MAX_DEPTH) refuse(`there are more than ${MAX_DEPTH} lists within lists`);
      open.push(list);
    }
  }
  if (at !== end) refuse(`${end - at} bytes are left over`);
}
