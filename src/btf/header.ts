// The header of BTF as libbpf writes it since 1.8.

/** Bytes of the header that every reader knows, and of what has come to it. */
const SIZE = 24;
const ROOM = 8;

/**
 * BTF whose header has room for where the layouts of the kinds are (u32 layout_off, layout_len); both are 0 here. Whoever
 * does not know of them skips them by hdr_len.
 */
export function withLayoutHeader(btf: Uint8Array): Uint8Array {
  const littleEndian = btf[0] !== 0xeb;
  const bytes = new Uint8Array(btf.length + ROOM);
  bytes.set(btf.subarray(0, SIZE));
  bytes.set(btf.subarray(SIZE), SIZE + ROOM);
  new DataView(bytes.buffer).setUint32(4, SIZE + ROOM, littleEndian);
  return bytes;
}
