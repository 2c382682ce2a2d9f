// Stores of keys into the frame that nobody reads from memory: array lookups, and every load of what the store put there,
// take it from the local that the store keeps. They need not be made. Other stores that nobody reads are left: they are
// registers that a compiler put aside, and V8, which has even fewer, makes worse code without them.
//
// Only in a program that is one function and is not left by a tail call: what comes after it in the same memory must
// find what the interpreter would have left there.

import type { HelperDefinition } from '../helpers/definition.js';
import type { Code } from './code.js';
import type { Kept, Provenance } from './provenance.js';
import { isArray, missesStack, stackPlace } from './stack.js';

/** Kinds of arguments that no helper follows into the frame. */
const HARMLESS: ReadonlySet<string> = new Set(['anything', 'ctx', 'map']);

/** The slots of these stores. `before` and `reads` are what the analysis found (analysis.ts). */
export function unreadStores(
  code: Code,
  before: ReadonlyMap<number, readonly Provenance[]>,
  reads: ReadonlyMap<number, Kept>,
  helpers: (id: number) => HelperDefinition | undefined,
): ReadonlySet<number> {
  if (!isOneFunction(code)) return new Set();
  /** Stores that a lookup's key is from. */
  const keys = new Set<number | undefined>();
  const stores = new Map<number, { from: number; to: number }>();
  const read: { from: number; to: number }[] = [];
  for (const [slot, registers] of before) {
    const step = code.steps[slot];
    if (!step) return new Set();
    const { insn, does } = step;
    const fromLocal = reads.get(slot)?.by !== undefined;
    switch (does.kind) {
      case 'store': {
        const at = stackPlace(registers[insn.dst], insn.offset, does.size);
        if (at) stores.set(slot, at);
        break;
      }
      case 'load':
      case 'loadAcquire':
      case 'atomic': {
        if (fromLocal) break;
        const base = registers[does.kind === 'atomic' ? insn.dst : insn.src];
        const at = stackPlace(base, insn.offset, does.size);
        if (at) read.push(at);
        else if (!isElsewhere(base, insn.offset, does.size, code)) return new Set();
        break;
      }
      case 'call': {
        const helper = does.target === 'helper' ? helpers(insn.imm) : undefined;
        if (!helper || helper.name === 'tail_call') return new Set();
        const map = registers[1]?.kind === 'map' ? registers[1].map : undefined;
        const isLookup = helper.name === 'map_lookup_elem' && isArray(map) && fromLocal;
        if (isLookup) keys.add(reads.get(slot)?.by);
        else if (!helper.args.every((type) => HARMLESS.has(type))) return new Set();
      }
    }
  }
  const unread = new Set<number>();
  for (const [slot, { from, to }] of stores) {
    if (keys.has(slot) && read.every((range) => to <= range.from || range.to <= from)) unread.add(slot);
  }
  return unread;
}

/** No subprogram, and no callback. */
const isOneFunction = ({ steps, constants }: Code): boolean =>
  !steps.some((step) => step?.does.kind === 'call' && step.does.target === 'local') &&
  ![...constants.values()].some(({ kind }) => kind === 'function');

/** Whether a load is certainly not from the frame. */
const isElsewhere = (base: Provenance, displacement: number, size: number, code: Code): boolean =>
  base?.kind === 'ctx'
    ? base.offset + displacement >= 0 && base.offset + displacement + size <= code.context.size
    : missesStack(base, displacement, size);
