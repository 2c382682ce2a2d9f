// Scalars that share an id are copies of each other (or one plus a constant): what a comparison says of one holds for
// all. Which ones were linked is kept with the step, for the way back.
//
// Packed into a step: two words of up to three entries of 10 bits; the upper two bits count those of the word.
//
//     entry | register or slot (6) | is a register (1) | frame (3)

import { type Address, layout as L } from './domain.js';
import type { Verifier } from './verifier.js';

export interface LinkedReg {
  readonly frame: number;
  readonly isReg: boolean;
  /** Register, or stack slot. */
  readonly index: number;
}

/** More are not kept: the id is taken from them. */
const MAX_LINKED = 6;

const idOf = (id: number): number => (id & ~L.ADD_CONST) >>> 0;

/** Adds all scalars of the current path with this id (or derived from it) to `set`. */
export function collectLinked(v: Verifier, id: number, set: LinkedReg[]): void {
  const { d } = v;
  const wanted = idOf(id);
  const visit = (r: Address, entry: LinkedReg) => {
    if (d.type(r) !== L.SCALAR || idOf(d.id(r)) !== wanted) return;
    if (set.length < MAX_LINKED) {
      set.push(entry);
    } else {
      d.setId(r, 0);
      d.setOff(r, 0);
    }
  };
  for (let f = v.frameNumber; f >= 0; f--) {
    const frame = v.frameAt(f);
    // What nobody reads any more needs not learn.
    const insn = f === v.frameNumber ? v.insn : d.get(v.frameAt(f + 1), L.Frame_callsite);
    const live = v.liveRegs[insn] as number;
    for (let i = 0; i < 10; i++) {
      if (live & (1 << i)) visit(d.reg(frame, i), { frame: f, isReg: true, index: i });
    }
    const slots = d.slots(frame);
    for (let i = 0; i < slots; i++) {
      if (d.slotByte(frame, i, 7) !== L.SLOT_SPILL) continue;
      visit(d.slotReg(frame, i), { frame: f, isReg: false, index: i });
    }
  }
}

/** Where a linked scalar is in a state. */
export function linkedReg(v: Verifier, state: Address, { frame, isReg, index }: LinkedReg): Address {
  const at = v.d.frame(state, frame);
  return isReg ? v.d.reg(at, index) : v.d.slotReg(at, index);
}

/** The linked scalars of `state` learn what is known of one of them. */
export function syncLinked(v: Verifier, state: Address, known: Address, set: readonly LinkedReg[]): void {
  const { d } = v;
  for (const entry of set) {
    const r = linkedReg(v, state, entry);
    if (d.type(r) !== L.SCALAR || r === known || idOf(d.id(r)) !== idOf(d.id(known))) continue;
    const own = d.id(r) & L.ADD_CONST;
    const other = d.id(known) & L.ADD_CONST;
    // Sums of 32 and of 64 bits say nothing of each other.
    if (own && other && own !== other) continue;
    if (!(own | other) || d.off(r) === d.off(known)) {
      d.copyReg(r, known);
      continue;
    }
    const off = d.off(r);
    const id = d.id(r);
    d.wasm.regShifted(r, known, off, d.off(known), (own | other) & L.ADD_CONST32 ? 1 : 0);
    d.setOff(r, off);
    d.setId(r, id);
  }
}

export function packLinked(v: Verifier, step: Address, set: readonly LinkedReg[]): void {
  for (const half of [0, 1]) {
    const part = set.slice(half * 3, half * 3 + 3);
    let word = 0;
    part.forEach(({ frame, isReg, index }, i) => {
      word |= (index | (isReg ? 64 : 0) | (frame << 7)) << (i * 10);
    });
    v.d.set(step, L.Step_linked + half * 4, word | (part.length << 30));
  }
}

export function unpackLinked(v: Verifier, step: Address): LinkedReg[] {
  const set: LinkedReg[] = [];
  for (const half of [0, 4]) {
    const word = v.d.get(step, L.Step_linked + half);
    for (let i = 0; i < word >>> 30; i++) {
      const entry = (word >>> (i * 10)) & 1023;
      set.push({ index: entry & 63, isReg: (entry & 64) !== 0, frame: entry >> 7 });
    }
  }
  return set;
}
