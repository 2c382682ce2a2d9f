// Line information of a program: struct bpf_line_info[], ascending (linux/bpf.h).
//
//     u32 insn_off (slots) | u32 file_name_off | u32 line_off | u32 line_col: line << 10 | column

import type { RunFault } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { Btf } from '../btf/index.js';

const SIZE = 16;

const refuse = (message: string): never => {
  throw new BpfError('BPF_PROG_LOAD', Errno.EINVAL, message, `${message}\n`);
};

/** A copy of `bytes`, which must be whole, ascending, inside the program and inside the BTF's strings. */
export function checkLineInfo(bytes: Uint8Array, slots: number, btf: Btf | undefined): Uint8Array {
  if (!btf) return refuse('line_info without prog_btf_fd');
  if (bytes.length % SIZE !== 0) refuse(`line_info has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let last = -1;
  for (let at = 0; at < bytes.length; at += SIZE) {
    const slot = view.getUint32(at, true);
    if (slot <= last || slot >= slots) refuse(`Invalid line_info[${at / SIZE}].insn_off:${slot}`);
    last = slot;
    try {
      btf.string(view.getUint32(at + 4, true));
      btf.string(view.getUint32(at + 8, true));
    } catch {
      refuse(`Invalid line_info[${at / SIZE}].line_off or .file_name_off`);
    }
  }
  return bytes.slice();
}

/** The source line of an instruction (slot): the last line that begins at or before it. */
export function sourceLine(lineInfo: Uint8Array, btf: Btf, slot: number): RunFault['source'] {
  const view = new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
  let found = -1;
  for (let at = 0; at < view.byteLength; at += SIZE) {
    if (view.getUint32(at, true) > slot) break;
    found = at;
  }
  if (found < 0) return undefined;
  const lineCol = view.getUint32(found + 12, true);
  return {
    file: btf.string(view.getUint32(found + 4, true)),
    text: btf.string(view.getUint32(found + 8, true)).trim(),
    line: lineCol >>> 10,
    column: lineCol & 0x3ff,
  };
}
