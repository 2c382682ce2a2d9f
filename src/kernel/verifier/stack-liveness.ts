// Which stack slots may still be read, before each instruction and for each chain of calls that leads to it. Reads and
// certain writes are noted as paths are followed; when a path ends, what it added flows backwards through the function
// (Linux: kernel/bpf/liveness.c).
//
// Masks of 64 slots are two 32-bit words. For each instruction of a function and each frame of the chain:
//
//     may read | must write | written on every way from here | live before

import { successors } from './cfg.js';
import { type Address, layout as L } from './domain.js';
import { frameInsn } from './prune.js';
import { Mark, type Subprog, type Verifier } from './verifier.js';

const MAY_READ = 0;
const MUST_WRITE = 2;
const WRITTEN = 4;
const LIVE = 6;
const WORDS = 8;

const MET = 1;
const WRITES_NOTHING = 2;

/** A function, called through one chain of call sites. */
class Instance {
  readonly subprog: Subprog;
  /** Call sites of the frames above, then the first instruction of the function. */
  readonly chain: readonly number[];
  /** First instructions of the functions of the chain. */
  readonly starts: readonly number[];
  readonly frames: (Int32Array | undefined)[] = [];
  /** What is known of what an instruction must write: nothing yet (0), MET, or that it is nothing (WRITES_NOTHING). */
  readonly met: Uint8Array;
  updated = false;
  dropped = false;

  constructor(subprog: Subprog, chain: readonly number[], starts: readonly number[]) {
    this.subprog = subprog;
    this.chain = chain;
    this.starts = starts;
    this.met = new Uint8Array(subprog.end - subprog.start);
  }

  get depth(): number {
    return this.chain.length - 1;
  }
  masks(frame: number): Int32Array {
    let masks = this.frames[frame];
    if (!masks) {
      masks = new Int32Array((this.subprog.end - this.subprog.start) * WORDS);
      this.frames[frame] = masks;
    }
    return masks;
  }
  at(slot: number): number {
    return (slot - this.subprog.start) * WORDS;
  }
}

export class StackLiveness {
  readonly #v: Verifier;
  readonly #instances = new Map<string, Instance>();
  /** Functions that nobody called, by number. */
  readonly #outermost: Instance[] = [];
  #current: Instance | undefined;
  /** What the current instruction certainly writes, by frame. */
  readonly #writes = new Int32Array(16);
  /** There is something in it. */
  #writesAny = false;
  #writeInsn = 0;
  readonly #order: Int32Array;
  readonly #orderStart: number[] = [];

  constructor(v: Verifier) {
    this.#v = v;
    this.#order = new Int32Array(v.length);
    this.#computeOrder();
  }

  /** Instructions of each function in postorder. */
  #computeOrder(): void {
    const v = this.#v;
    const discovered = new Uint8Array(v.length);
    const next: number[] = [];
    let count = 0;
    for (const subprog of v.subprogs) {
      this.#orderStart.push(count);
      const stack = [subprog.start];
      while (stack.length > 0) {
        const top = stack[stack.length - 1] as number;
        if (discovered[top] === 2) {
          this.#order[count++] = top;
          stack.pop();
          continue;
        }
        for (const to of successors(v, top, next)) {
          if (discovered[to]) continue;
          stack.push(to);
          discovered[to] = 1;
        }
        discovered[top] = 2;
      }
    }
    this.#orderStart.push(count);
  }

  #instance(state: Address, frame: number): Instance {
    const { d } = this.#v;
    if (frame === 0) {
      // The usual case, without making a key.
      const number = d.get(d.frame(state, 0), L.Frame_subprog);
      this.#outermost[number] ??= this.#lookup([this.#startOf(number)], [this.#startOf(number)]);
      return this.#outermost[number];
    }
    const chain: number[] = [];
    const starts: number[] = [];
    for (let i = 0; i <= frame; i++) {
      const subprog = this.#v.subprogs[d.get(d.frame(state, i), L.Frame_subprog)] as Subprog;
      starts.push(subprog.start);
      chain.push(i < frame ? d.get(d.frame(state, i + 1), L.Frame_callsite) : subprog.start);
    }
    return this.#lookup(chain, starts);
  }

  #startOf(subprog: number): number {
    return (this.#v.subprogs[subprog] as Subprog).start;
  }

  #lookup(chain: readonly number[], starts: readonly number[]): Instance {
    const key = `${chain}|${starts}`;
    let instance = this.#instances.get(key);
    if (!instance) {
      const start = starts[starts.length - 1] as number;
      instance = new Instance(this.#v.subprogs[this.#v.subprogAt(start)] as Subprog, chain, starts);
      this.#instances.set(key, instance);
    }
    return instance;
  }

  /** The chain of calls of the current path has changed. */
  chainChanged(): void {
    this.#current = undefined;
  }

  get #here(): Instance {
    this.#current ??= this.#instance(this.#v.state, this.#v.frameNumber);
    return this.#current;
  }

  /** The current instruction may read a slot of a frame. */
  read(frame: number, slot: number): void {
    this.#read(this.#here, frame, this.#v.insn, slot < 32 ? 1 << slot : 0, slot < 32 ? 0 : 1 << (slot - 32));
  }

  #read(instance: Instance, frame: number, insn: number, low: number, high: number): void {
    const masks = instance.masks(frame);
    const at = instance.at(insn);
    const newLow = (masks[at + MAY_READ] as number) | low;
    const newHigh = (masks[at + MAY_READ + 1] as number) | high;
    const changed = newLow !== masks[at + MAY_READ] || newHigh !== masks[at + MAY_READ + 1];
    if (changed && (newLow & ~(masks[at + LIVE] as number) || newHigh & ~(masks[at + LIVE + 1] as number))) {
      instance.updated = true;
    }
    masks[at + MAY_READ] = newLow;
    masks[at + MAY_READ + 1] = newHigh;
  }

  /** An instruction begins: it has written nothing yet. */
  begin(insn: number): void {
    this.#current ??= this.#instance(this.#v.state, this.#v.frameNumber);
    this.#begin(insn);
  }
  #begin(insn: number): void {
    this.#writeInsn = insn;
    if (!this.#writesAny) return;
    this.#writes.fill(0);
    this.#writesAny = false;
  }

  /** The current instruction writes the whole of a slot. */
  write(frame: number, slot: number): void {
    const at = frame * 2 + (slot >> 5);
    this.#writesAny = true;
    this.#writes[at] = (this.#writes[at] as number) | (1 << (slot & 31));
  }

  /** The instruction is done: on this path it wrote what was noted, on others perhaps less. */
  commit(): void {
    if (this.#current) this.#commit(this.#current);
  }
  #commit(instance: Instance): void {
    const index = this.#writeInsn - instance.subprog.start;
    const known = instance.met[index] as number;
    if (!this.#writesAny && known !== MET) {
      // Most instructions write nothing, and are known for it after the first time.
      instance.met[index] = WRITES_NOTHING;
      this.#writeInsn = 0;
      return;
    }
    const met = known !== 0;
    const at = index * WORDS;
    for (let frame = 0; frame <= instance.depth; frame++) {
      let low = this.#writes[frame * 2] as number;
      let high = this.#writes[frame * 2 + 1] as number;
      if (!low && !high && !met) continue;
      const masks = instance.masks(frame);
      const oldLow = masks[at + MUST_WRITE] as number;
      const oldHigh = masks[at + MUST_WRITE + 1] as number;
      if (met) {
        low &= oldLow;
        high &= oldHigh;
      }
      if (oldLow !== low || oldHigh !== high) {
        masks[at + MUST_WRITE] = low;
        masks[at + MUST_WRITE + 1] = high;
        instance.updated = true;
      }
      if (oldLow & ~low || oldHigh & ~high) instance.dropped = true;
    }
    instance.met[index] = MET;
    this.#writeInsn = 0;
  }

  /** A path ends, or a function of it: what was noted flows back, from the innermost function outwards. */
  update(): void {
    const v = this.#v;
    this.chainChanged();
    for (let frame = v.frameNumber; frame >= 0; frame--) {
      const instance = this.#instance(v.state, frame);
      if (!instance.updated) continue;
      this.#flow(instance);
      instance.updated = false;
      instance.dropped = false;
    }
  }

  #flow(instance: Instance): void {
    const v = this.#v;
    if (instance.dropped) {
      // What is certainly written got less: that has to be found anew.
      for (const masks of instance.frames) {
        if (!masks) continue;
        for (let at = WRITTEN; at < masks.length; at += WORDS) {
          masks[at] = 0;
          masks[at + 1] = 0;
        }
      }
    }
    const number = v.subprogs.indexOf(instance.subprog);
    const from = this.#orderStart[number] as number;
    const to = this.#orderStart[number + 1] as number;
    let rounds = 0;
    for (let changed = true; changed; ) {
      rounds++;
      changed = false;
      for (let frame = 0; frame <= instance.depth; frame++) {
        if (!instance.frames[frame]) continue;
        for (let i = from; i < to; i++) {
          if (this.#flowInsn(instance, frame, this.#order[i] as number)) changed = true;
        }
      }
    }
    if (v.log.verbose) v.log.write(`(${instance.chain}) live stack update done in ${rounds} iterations\n`);
    if (instance.depth > 0) this.#toCaller(instance);
  }

  #flowInsn(instance: Instance, frame: number, insn: number): boolean {
    const v = this.#v;
    const next = successors(v, insn, this.#next);
    if (next.length === 0) return false;
    const masks = instance.masks(frame);
    const at = instance.at(insn);
    let liveLow = 0;
    let liveHigh = 0;
    let writtenLow = -1;
    let writtenHigh = -1;
    for (const to of next) {
      const there = instance.at(to);
      liveLow |= masks[there + LIVE] as number;
      liveHigh |= masks[there + LIVE + 1] as number;
      writtenLow &= masks[there + WRITTEN] as number;
      writtenHigh &= masks[there + WRITTEN + 1] as number;
    }
    const mustLow = masks[at + MUST_WRITE] as number;
    const mustHigh = masks[at + MUST_WRITE + 1] as number;
    const readLow = masks[at + MAY_READ] as number;
    const readHigh = masks[at + MAY_READ + 1] as number;
    writtenLow |= mustLow;
    writtenHigh |= mustHigh;
    liveLow = (liveLow & ~mustLow) | readLow;
    liveHigh = (liveHigh & ~mustHigh) | readHigh;
    const oldLow = masks[at + LIVE] as number;
    const oldHigh = masks[at + LIVE + 1] as number;
    const oldWrittenLow = masks[at + WRITTEN] as number;
    const oldWrittenHigh = masks[at + WRITTEN + 1] as number;
    if (
      v.log.verbose &&
      (readLow ||
        readHigh ||
        mustLow ||
        mustHigh ||
        insn === instance.subprog.start ||
        (v.marks[insn] as number) & Mark.PRUNE)
    ) {
      this.#show(instance, 'live', frame, insn, oldLow, oldHigh, liveLow, liveHigh);
      this.#show(instance, 'written', frame, insn, oldWrittenLow, oldWrittenHigh, writtenLow, writtenHigh);
    }
    masks[at + LIVE] = liveLow;
    masks[at + LIVE + 1] = liveHigh;
    masks[at + WRITTEN] = writtenLow;
    masks[at + WRITTEN + 1] = writtenHigh;
    return (
      oldLow !== liveLow ||
      oldHigh !== liveHigh ||
      oldWrittenLow !== writtenLow ||
      oldWrittenHigh !== writtenHigh
    );
  }
  readonly #next: number[] = [];

  #show(
    instance: Instance,
    what: string,
    frame: number,
    insn: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): void {
    const onesLow = low & ~oldLow;
    const onesHigh = high & ~oldHigh;
    const zerosLow = oldLow & ~low;
    const zerosHigh = oldHigh & ~high;
    if (!(onesLow | onesHigh | zerosLow | zerosHigh)) return;
    let text = `(${instance.chain}) frame ${frame} insn ${insn} `;
    if (onesLow | onesHigh) text += `+${what} ${slotsText(onesLow, onesHigh)} `;
    if (zerosLow | zerosHigh) text += `-${what} ${slotsText(zerosLow, zerosHigh)}`;
    this.#v.log.write(`${text}\n`);
  }

  /** What a function does to the stacks above it, its call does. */
  #toCaller(instance: Instance): void {
    const callsite = instance.chain[instance.chain.length - 2] as number;
    const starts = instance.starts.slice(0, -1);
    const chain = [...instance.chain.slice(0, -2), starts[starts.length - 1] as number];
    const outer = this.#lookup(chain, starts);
    this.#begin(callsite);
    for (let frame = 0; frame < instance.depth; frame++) {
      const masks = instance.frames[frame];
      if (!masks) continue;
      this.#writesAny = true;
      this.#writes[frame * 2] = (this.#writes[frame * 2] as number) | (masks[WRITTEN] as number);
      this.#writes[frame * 2 + 1] = (this.#writes[frame * 2 + 1] as number) | (masks[WRITTEN + 1] as number);
      this.#read(outer, frame, callsite, masks[LIVE] as number, masks[LIVE + 1] as number);
    }
    this.#commit(outer);
  }

  /** Slots of frame `frame` of a checkpoint that may still be read. */
  alive(state: Address, frame: number): bigint {
    const { d } = this.#v;
    const last = d.current(state);
    const innermost = this.#instance(state, last);
    let [low, high] = live(innermost, frame, frameInsn(this.#v, state, last));
    for (let i = frame; i < last; i++) {
      const callsite = innermost.chain[i] as number;
      const instance = this.#instance(state, i);
      const back = (this.#v.marks[callsite] as number) & Mark.CALLBACK ? callsite : callsite + 1;
      const [l, h] = live(instance, frame, back);
      low |= l;
      high |= h;
    }
    return BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
  }
}

function live(instance: Instance, frame: number, insn: number): [number, number] {
  const masks = instance.frames[frame];
  if (!masks) return [0, 0];
  const at = instance.at(insn);
  return [masks[at + LIVE] as number, masks[at + LIVE + 1] as number];
}

function slotsText(low: number, high: number): string {
  const names: string[] = [];
  for (let i = 0; i < 64; i++) {
    if ((i < 32 ? low >>> i : high >>> (i - 32)) & 1) names.push(`${-(i + 1) * 8}`);
  }
  return names.join(',');
}

export const stackLiveness = (v: Verifier): StackLiveness => v.stackLiveness;
