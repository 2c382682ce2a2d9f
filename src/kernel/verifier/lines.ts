// Source lines of a program, as the log shows them.

import { Errno } from '../../bpf/errno.js';
import type { Btf } from '../../btf/index.js';
import type { Verifier } from './verifier.js';

const RECORD = 16;

/** struct bpf_line_info[], checked against the program (check_btf_line). */
export class ProgramLines {
  readonly #view: DataView;
  readonly #btf: Btf;
  readonly #count: number;
  /** Record that was shown last. */
  #shown = -1;

  constructor(v: Verifier, bytes: Uint8Array, btf: Btf) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = view;
    this.#btf = btf;
    this.#count = Math.floor(bytes.length / RECORD);
    let previous = 0;
    let next = 0;
    for (let i = 0; i < this.#count; i++) {
      const slot = this.#slot(i);
      if ((i > 0 && slot <= previous) || slot >= v.length) {
        v.reject(
          Errno.EINVAL,
          `Invalid line_info[${i}].insn_off:${slot} (prev_offset:${previous} prog->len:${v.length})`,
        );
      }
      if (!v.code[slot]) v.reject(Errno.EINVAL, `Invalid insn code at line_info[${i}].insn_off`);
      try {
        btf.string(view.getUint32(i * RECORD + 4, true));
        btf.string(view.getUint32(i * RECORD + 8, true));
      } catch {
        v.reject(Errno.EINVAL, `Invalid line_info[${i}].line_off or .file_name_off`);
      }
      const start = v.subprogs[next]?.start;
      if (start !== undefined) {
        if (slot === start) next++;
        else if (start < slot) v.reject(Errno.EINVAL, `missing bpf_line_info for func#${next}`);
      }
      previous = slot;
    }
    if (next !== v.subprogs.length) {
      v.reject(
        Errno.EINVAL,
        `missing bpf_line_info for ${v.subprogs.length - next} funcs starting from func#${next}`,
      );
    }
  }

  #slot(i: number): number {
    return this.#view.getUint32(i * RECORD, true);
  }
  #line(i: number): number {
    return this.#view.getUint32(i * RECORD + 12, true) >>> 10;
  }
  #file(i: number): number {
    return this.#view.getUint32(i * RECORD + 4, true);
  }

  /** The record that a slot belongs to: the last one at or before it, else the first. */
  #find(slot: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#slot(middle) <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** `text @ file:line`, unless that line was shown last. */
  next(slot: number): string | undefined {
    const found = this.#find(slot);
    const shown = this.#shown;
    if (found === shown) return undefined;
    if (shown >= 0 && this.#file(found) === this.#file(shown) && this.#line(found) === this.#line(shown)) {
      return undefined;
    }
    this.#shown = found;
    const { text, file, line } = this.at(found);
    return `${text} @ ${file}:${line}`;
  }

  /** Text (without leading blanks), file name and number of record `i`. */
  at(i: number): { text: string; file: string; line: number; column: number } {
    const path = this.#btf.string(this.#file(i));
    return {
      text: this.#btf.string(this.#view.getUint32(i * RECORD + 8, true)).replace(/^\s+/, ''),
      file: path.slice(path.lastIndexOf('/') + 1),
      line: this.#line(i),
      column: this.#view.getUint32(i * RECORD + 12, true) & 0x3ff,
    };
  }

  /** The line that a slot belongs to. */
  of(slot: number): { text: string; file: string; line: number; column: number } {
    return this.at(this.#find(slot));
  }
}
