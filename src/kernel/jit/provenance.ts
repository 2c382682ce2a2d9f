// Where each pointer comes from: a forward data-flow analysis over registers and spilled stack slots. It tells the
// JIT which map a lookup is for (so that it can be inlined) and, in checked mode, what an access must be
// checked against. It claims nothing that does not hold on every path; what it does not know is `undefined`.

import type { HelperDefinition } from '../helpers/definition.js';
import { type Block, blockOf, type Graph, successors } from './cfg.js';
import { type Code, type Constant, type MapConstant, target } from './code.js';

export type Provenance =
  | undefined
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'ctx'; readonly offset: number }
  /** This function's frame; the offset is from r10, undefined when it varies. */
  | { readonly kind: 'stack'; readonly offset: number | undefined }
  | { readonly kind: 'packet' }
  | { readonly kind: 'map'; readonly map: MapConstant }
  /** Address in a map's first value, known when the program is loaded. */
  | { readonly kind: 'value'; readonly map: MapConstant; readonly offset: number | undefined }
  /** What the lookup at slot `site` found. */
  | {
      readonly kind: 'element';
      readonly map: MapConstant;
      readonly site: number;
      readonly offset: number | undefined;
      readonly nonNull: boolean;
    };

/** Registers r0 to r10, and the frame's 8-byte slots that hold something known, by offset from r10. */
interface State {
  readonly regs: Provenance[];
  readonly spills: Map<number, Provenance>;
}

/** The registers' provenance before each instruction of a function, by slot. */
export type Provenances = ReadonlyMap<number, readonly Provenance[]>;

export interface FunctionProvenance {
  readonly before: Provenances;
  /** For each call of a subprogram: its entry slot and r1 to r5. */
  readonly calls: { readonly entry: number; readonly args: readonly Provenance[] }[];
}

const same = (a: Provenance, b: Provenance): boolean => {
  if (a === b) return true;
  if (!a || !b || a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'number':
      return a.value === (b as typeof a).value;
    case 'ctx':
    case 'stack':
      return a.offset === (b as typeof a).offset;
    case 'packet':
      return true;
    case 'map':
      return a.map === (b as typeof a).map;
    case 'value':
      return a.map === (b as typeof a).map && a.offset === (b as typeof a).offset;
    case 'element': {
      const other = b as typeof a;
      return (
        a.map === other.map &&
        a.site === other.site &&
        a.offset === other.offset &&
        a.nonNull === other.nonNull
      );
    }
  }
};

/** What holds when either of the two does. */
export function join(a: Provenance, b: Provenance): Provenance {
  if (same(a, b)) return a;
  if (!a || !b) return undefined;
  if (a.kind === 'stack' && b.kind === 'stack') return { kind: 'stack', offset: undefined };
  if (a.kind === 'value' && b.kind === 'value' && a.map === b.map) return { ...a, offset: undefined };
  if (a.kind === 'element' && b.kind === 'element' && a.map === b.map && a.site === b.site) {
    return {
      ...a,
      offset: a.offset === b.offset ? a.offset : undefined,
      nonNull: a.nonNull && b.nonNull,
    };
  }
  return undefined;
}

/** `pointer + distance`; an undefined distance is one that varies. */
function move(pointer: Provenance, distance: number | undefined): Provenance {
  if (!pointer) return undefined;
  const sum = (offset: number | undefined) => {
    const moved = offset === undefined || distance === undefined ? undefined : offset + distance;
    return moved !== undefined && Math.abs(moved) < 2 ** 30 ? moved : undefined;
  };
  switch (pointer.kind) {
    case 'number': {
      const value = sum(pointer.value);
      return value === undefined ? undefined : { kind: 'number', value };
    }
    case 'ctx': {
      const offset = sum(pointer.offset);
      return offset === undefined ? undefined : { kind: 'ctx', offset };
    }
    case 'packet':
      return pointer;
    case 'map':
      return undefined;
    default:
      return { ...pointer, offset: sum(pointer.offset) };
  }
}

const numberOf = (p: Provenance): number | undefined => (p?.kind === 'number' ? p.value : undefined);
const isPointer = (p: Provenance): boolean => p !== undefined && p.kind !== 'number';

/** Forgets what any write to this frame's [offset, offset + size) could have changed. */
function forget(state: State, offset: number, size: number): void {
  for (const at of [...state.spills.keys()]) {
    if (at < offset + size && offset < at + 8) state.spills.delete(at);
  }
}

/** Forgets what an earlier call at `site` found: from now on the site stands for the new result. */
function forgetSite(state: State, site: number): void {
  const isOld = (p: Provenance) => p?.kind === 'element' && p.site === site;
  for (let r = 0; r <= 9; r++) if (isOld(state.regs[r])) state.regs[r] = undefined;
  for (const [offset, p] of state.spills) if (isOld(p)) state.spills.delete(offset);
}

/** A write of `size` bytes through `base`; `value` is what an 8-byte store of a register leaves there. */
function write(state: State, base: Provenance, displacement: number, size: number, value: Provenance): void {
  if (base?.kind === 'stack' && base.offset !== undefined) {
    const offset = base.offset + displacement;
    forget(state, offset, size);
    if (size === 8 && value) state.spills.set(offset, value);
  } else if (base === undefined || base.kind === 'stack' || base.kind === 'number') {
    state.spills.clear();
  }
}

/** Analyses one function. `args` are r1 to r5 at its entry. */
export function analyse(
  code: Code,
  graph: Graph,
  args: readonly Provenance[],
  helpers: (id: number) => HelperDefinition | undefined,
): FunctionProvenance {
  const before = new Map<number, readonly Provenance[]>();
  const calls: { entry: number; args: readonly Provenance[] }[] = [];

  /** Takes one instruction; `record` on the last pass. */
  const step = (state: State, slot: number, record: boolean): void => {
    const at = code.steps[slot];
    if (!at) return;
    const { insn, does } = at;
    const { regs } = state;
    if (record) before.set(slot, regs.slice());
    const src = regs[insn.src];
    const dst = regs[insn.dst];
    switch (does.kind) {
      case 'alu': {
        const wide = does.bits === 64;
        const operand: Provenance = does.operand === 'imm' ? { kind: 'number', value: insn.imm } : src;
        if (does.op === 'mov') {
          if (wide) regs[insn.dst] = operand;
          else {
            const value = numberOf(operand);
            regs[insn.dst] = value === undefined ? undefined : { kind: 'number', value: value >>> 0 };
          }
        } else if (does.op === 'add' && wide) {
          if (isPointer(dst) && isPointer(operand)) regs[insn.dst] = undefined;
          else if (isPointer(operand)) regs[insn.dst] = move(operand, numberOf(dst));
          else regs[insn.dst] = move(dst, numberOf(operand));
        } else if (does.op === 'sub' && wide) {
          const by = numberOf(operand);
          regs[insn.dst] = by === undefined ? undefined : move(dst, -by);
        } else regs[insn.dst] = undefined;
        break;
      }
      case 'neg':
      case 'movsx':
      case 'byteOrder':
      case 'addrSpaceCast':
        regs[insn.dst] = undefined;
        break;
      case 'loadImm64':
        regs[insn.dst] = ofConstant(code.constants.get(slot));
        break;
      case 'load':
      case 'loadAcquire':
        regs[insn.dst] = undefined;
        if (src?.kind === 'stack' && src.offset !== undefined && does.size === 8) {
          regs[insn.dst] = state.spills.get(src.offset + insn.offset);
        } else if (src?.kind === 'ctx' && does.size === 4) {
          if (code.context.packetFields.includes(src.offset + insn.offset))
            regs[insn.dst] = { kind: 'packet' };
        }
        break;
      case 'store':
        write(state, dst, insn.offset, does.size, does.operand === 'reg' ? src : undefined);
        break;
      case 'storeRelease':
        write(state, dst, insn.offset, does.size, src);
        break;
      case 'atomic':
        write(state, dst, insn.offset, does.size, undefined);
        if (does.fetch) regs[does.op === 'cmpxchg' ? 0 : insn.src] = undefined;
        break;
      case 'packetLoad':
        regs[0] = undefined;
        break;
      case 'call': {
        if (does.target === 'local') {
          if (record) calls.push({ entry: target(slot, at), args: regs.slice(1, 6) });
          state.spills.clear();
          regs[0] = undefined;
        } else {
          const helper = does.target === 'helper' ? helpers(insn.imm) : undefined;
          if (!helper || helper.args.includes('write')) state.spills.clear();
          const map = regs[1];
          forgetSite(state, slot);
          regs[0] =
            helper?.returns === 'map-value-or-null' && map?.kind === 'map'
              ? { kind: 'element', map: map.map, site: slot, offset: 0, nonNull: false }
              : undefined;
        }
        for (let r = 1; r <= 5; r++) regs[r] = undefined;
        break;
      }
    }
  };

  const run = (block: Block, entry: State, record: boolean): State => {
    const state: State = { regs: entry.regs.slice(), spills: new Map(entry.spills) };
    for (const item of block.items) {
      if (item.kind === 'insn') step(state, item.slot, record);
      else if (item.kind === 'select') {
        const other = state.regs.slice();
        for (const slot of item.slots) step(state, slot, record);
        for (let r = 0; r <= 10; r++) state.regs[r] = join(state.regs[r], other[r]);
      }
    }
    return state;
  };

  const entry: State = { regs: new Array<Provenance>(11).fill(undefined), spills: new Map() };
  args.forEach((p, i) => {
    entry.regs[i + 1] = p;
  });
  entry.regs[10] = { kind: 'stack', offset: 0 };
  const states = new Map<number, State>([[graph.entry, entry]]);
  const work = [graph.entry];
  for (let id = work.pop(); id !== undefined; id = work.pop()) {
    const from = states.get(id);
    if (!from) continue;
    const block = blockOf(graph, id);
    const after = run(block, from, false);
    for (const to of successors(block.exit)) {
      const arriving = refine(code, block, to, after);
      const known = states.get(to);
      if (!known) {
        states.set(to, arriving);
        work.push(to);
      } else if (mergeInto(known, arriving)) work.push(to);
    }
  }
  for (const [id, state] of states) run(blockOf(graph, id), state, true);
  return { before, calls };
}

function ofConstant(constant: Constant | undefined): Provenance {
  if (!constant) return undefined;
  return constant.kind === 'map'
    ? { kind: 'map', map: constant.map }
    : { kind: 'value', map: constant.map, offset: constant.offset };
}

/** Joins `from` into `into`; whether that changed anything. */
function mergeInto(into: State, from: State): boolean {
  let changed = false;
  for (let r = 0; r <= 9; r++) {
    const joined = join(into.regs[r], from.regs[r]);
    if (!same(joined, into.regs[r])) {
      into.regs[r] = joined;
      changed = true;
    }
  }
  for (const [offset, known] of into.spills) {
    const joined = join(known, from.spills.get(offset));
    if (same(joined, known)) continue;
    changed = true;
    if (joined) into.spills.set(offset, joined);
    else into.spills.delete(offset);
  }
  return changed;
}

/** What the branch that leads to `to` tells: a found element is not null there. */
function refine(code: Code, block: Block, to: number, state: State): State {
  const copy: State = { regs: state.regs.slice(), spills: new Map(state.spills) };
  const { exit } = block;
  if (exit.kind !== 'branch') return copy;
  const step = code.steps[exit.slot];
  if (step?.does.kind !== 'branch') return copy;
  const { insn, does } = step;
  const tested = state.regs[insn.dst];
  if (tested?.kind !== 'element' || does.operand !== 'imm' || insn.imm !== 0 || does.bits !== 64) return copy;
  const nonNullAt = does.condition === 'eq' ? exit.fall : does.condition === 'ne' ? exit.taken : undefined;
  if (nonNullAt !== to || tested.offset !== 0) return copy;
  const known = (p: Provenance): Provenance =>
    p?.kind === 'element' && p.site === tested.site ? { ...p, nonNull: true } : p;
  for (let r = 0; r <= 9; r++) copy.regs[r] = known(copy.regs[r]);
  for (const [offset, p] of copy.spills) copy.spills.set(offset, known(p));
  return copy;
}
