// The packet that the running program may touch, kept in locals: checked mode compares against them.
//
// An access of `size` bytes at `pointer` is inside when  pointer - start < limit(size)  (unsigned), where
// limit(size) is  length - size + 1,  or 0 for a packet that is too short: one subtraction, one comparison.

import type { HelperDefinition } from '../helpers/definition.js';
import { layout } from '../memory/memory.js';
import type { Translator } from './translator.js';
import { I64, Op } from './wasm.js';

export class PacketWindow {
  readonly #t: Translator;
  readonly #start: number;
  readonly #limits = new Map<number, number>();

  /** `sizes` are the access sizes that the function makes. */
  constructor(t: Translator, sizes: Iterable<number>) {
    this.#t = t;
    this.#start = t.body.local(I64);
    for (const size of sizes) this.#limits.set(size, t.body.local(I64));
  }

  /** Reads the window from the CPU: at entry, and whenever it may have moved. */
  reload(): void {
    const t = this.#t;
    const { body } = t;
    const length = t.scratch(I64);
    t.loadCpu(layout.Cpu_packetStart);
    body.op(Op.i64_extend_i32_u).set(this.#start);
    t.loadCpu(layout.Cpu_packetEnd);
    body.op(Op.i64_extend_i32_u).get(this.#start).op(Op.i64_sub).set(length);
    for (const [size, limit] of this.#limits) {
      body
        .get(length)
        .i64(size - 1)
        .op(Op.i64_sub)
        .i64(0);
      body
        .get(length)
        .i64(size - 1)
        .op(Op.i64_ge_u)
        .op(Op.select)
        .set(limit);
    }
  }

  /** Reads it again when `helper` may have moved it. */
  reloadAfter(helper: HelperDefinition): void {
    if (helper.changesPacket) this.reload();
  }

  /** Pushes whether the access is outside (i32). */
  pushOutside(register: number, offset: number, size: number): void {
    const t = this.#t;
    const limit = this.#limits.get(size);
    if (limit === undefined) throw new Error(`no limit for ${size} bytes`);
    t.push(register);
    t.body.get(this.#start).op(Op.i64_sub);
    if (offset !== 0) t.body.i64(offset).op(Op.i64_add);
    t.body.get(limit).op(Op.i64_ge_u);
  }
}
