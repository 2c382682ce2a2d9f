// Where each pointer of a function comes from (provenance.ts): a forward data-flow analysis over registers and spilled
// stack slots. It tells the JIT which map a lookup is for, so that it can be inlined, and in checked mode what an
// access must be checked against, and which ones the program's own comparison with data_end has covered already.
// It claims nothing that does not hold on every path.

import type { HelperDefinition } from '../helpers/definition.js';
import { type Block, blockOf, successors } from './cfg.js';
import { type Code, type Constant, target } from './code.js';
import { Counters, type Rounds } from './counters.js';
import type { Flow } from './flow.js';
import { WORD_MAX, widen } from './interval.js';
import {
  ANYWHERE,
  anyNumber,
  anyWord,
  arithmetic,
  boundsOf,
  constant,
  isPointer,
  join,
  type Kept,
  MAX_SLACK,
  move,
  numberOf,
  type Provenance,
  rewrite,
  type State,
  same,
  somewhereInPacket,
  upTo,
} from './provenance.js';
import { decidedNull, refine } from './refine.js';
import { isArray, joinKept, keptAt, write } from './stack.js';
import type { Order } from './structure.js';

/** The registers' provenance before each instruction of a function, by slot. */
export type Provenances = ReadonlyMap<number, readonly Provenance[]>;

export interface FunctionProvenance {
  readonly before: Provenances;
  /** What loads, and array lookups for their keys, find in the frame, by their slots. */
  readonly reads: ReadonlyMap<number, Kept>;
  /** The slots of branches that always go the same way, and whether that is the one taken. */
  readonly decided: ReadonlyMap<number, boolean>;
  /** How many rounds a loop takes, by header, where that is known. */
  readonly rounds: ReadonlyMap<number, Rounds>;
  /** For each call of a subprogram: its entry slot and r1 to r5. */
  readonly calls: { readonly entry: number; readonly args: readonly Provenance[] }[];
}

/** Forgets what an earlier call at `site` found: from now on the site stands for the new result. */
function forgetSite(state: State, site: number): void {
  rewrite(state, (p) => (p?.kind === 'element' && p.site === site ? undefined : p));
}

/** From now on packet base `id` is a new one: pointers from an old one are only somewhere in the packet. */
function forgetBase(state: State, id: number): void {
  rewrite(state, (p) => (p?.kind === 'packet' && p.id === id ? somewhereInPacket : p));
}

/** The packet has moved: old pointers into it say nothing. */
function forgetPacket(state: State): void {
  rewrite(state, (p) => (p?.kind === 'packet' || p?.kind === 'packet-end' ? somewhereInPacket : p));
}

/** `pointer + other` at `slot`, where `other` is a number or not known. */
function plus(state: State, slot: number, pointer: Provenance, other: Provenance): Provenance {
  if (!pointer || isPointer(other)) return undefined;
  const distance = numberOf(other);
  if (distance !== undefined) return move(pointer, distance);
  const { min, max } = boundsOf(other);
  switch (pointer.kind) {
    case 'packet': {
      const { id, offset, nullable } = pointer;
      if (id === undefined || offset === undefined || offset < 0 || nullable) return somewhereInPacket;
      const slack = pointer.slack + max - min;
      if (pointer.range > offset + min + slack) return { ...pointer, offset: offset + min, slack };
      // A bounded distance cannot wrap around, so that the sum is again not before the packet: a new base.
      if (max > WORD_MAX) return somewhereInPacket;
      forgetBase(state, slot);
      return { kind: 'packet', id: slot, offset: 0, slack: 0, range: 0, nullable: false };
    }
    case 'stack':
    case 'value':
    case 'element': {
      const slack = pointer.slack + max - min;
      if (pointer.offset === undefined || slack > MAX_SLACK || min > MAX_SLACK)
        return { ...pointer, ...ANYWHERE };
      return { ...pointer, offset: pointer.offset + min, slack };
    }
    case 'packet-end':
      return somewhereInPacket;
    default:
      return undefined;
  }
}

/** Kinds of arguments that point to what a helper writes. */
const WRITES: ReadonlySet<string> = new Set([
  'write',
  'write-or-null',
  'write-4',
  'write-8',
  'map-value-out',
  'verified',
]);

export interface AnalysisOptions {
  readonly helpers: (id: number) => HelperDefinition | undefined;
  /** Whether any helper that the program calls can move the packet. */
  readonly movesPacket: boolean;
}

/** How often a block is looked at, on average, before the analysis gives up. */
const VISITS_PER_BLOCK = 100;

const NOTHING = { before: new Map(), reads: new Map(), decided: new Map(), rounds: new Map() };

/** The calls of a function of whose arguments nothing is known. */
function unknownCalls(code: Code, { graph }: Flow): FunctionProvenance['calls'] {
  const calls: { entry: number; args: readonly Provenance[] }[] = [];
  for (const block of graph.blocks.values()) {
    for (const item of block.items) {
      const step = item.kind === 'insn' ? code.steps[item.slot] : undefined;
      if (item.kind !== 'insn' || step?.does.kind !== 'call' || step.does.target !== 'local') continue;
      calls.push({ entry: target(item.slot, step), args: new Array<Provenance>(5).fill(undefined) });
    }
  }
  return calls;
}

/** Analyses one function. `args` are r1 to r5 at its entry. */
export function analyse(
  code: Code,
  flow: Flow,
  args: readonly Provenance[],
  options: AnalysisOptions,
): FunctionProvenance {
  const { graph, order, loops } = flow;
  const before = new Map<number, readonly Provenance[]>();
  const reads = new Map<number, Kept>();
  const decided = new Map<number, boolean>();
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
        const { op, bits } = does;
        const operand = does.operand === 'imm' ? constant(insn.imm) : src;
        if (bits === 64 && op === 'mov') regs[insn.dst] = operand;
        else if (bits === 64 && op === 'add' && (isPointer(dst) || isPointer(operand))) {
          regs[insn.dst] = isPointer(dst) ? plus(state, slot, dst, operand) : plus(state, slot, operand, dst);
        } else if (bits === 64 && op === 'sub' && isPointer(dst)) {
          const by = numberOf(operand);
          regs[insn.dst] = by === undefined ? undefined : move(dst, -by);
        } else if (bits === 64 && (op === 'add' || op === 'sub') && (!dst || !operand)) {
          regs[insn.dst] = undefined;
        } else regs[insn.dst] = arithmetic(op, bits, dst, operand);
        break;
      }
      case 'neg':
      case 'movsx':
        regs[insn.dst] = does.bits === 32 ? anyWord : anyNumber;
        break;
      case 'byteOrder':
        regs[insn.dst] = does.bits === 64 ? anyNumber : upTo(2 ** does.bits - 1);
        break;
      case 'addrSpaceCast':
        regs[insn.dst] = undefined;
        break;
      case 'loadImm64':
        regs[insn.dst] = ofConstant(code.constants.get(slot));
        break;
      case 'load':
      case 'loadAcquire': {
        let found: Provenance = does.size === 8 ? undefined : upTo(2 ** (8 * does.size) - 1);
        const kept = keptAt(state, src, insn.offset, does.size);
        if (does.kind === 'load' && does.signed) found = anyNumber;
        else if (kept) {
          found = kept.value;
          if (record) reads.set(slot, kept);
        } else if (src?.kind === 'ctx' && does.size === 4) {
          const field = code.context.packetFields.get(src.offset + insn.offset);
          if (field === 'end') found = { kind: 'packet-end' };
          else if (field === 'start') {
            forgetBase(state, slot);
            found = { kind: 'packet', id: slot, offset: 0, slack: 0, range: 0, nullable: false };
          }
        }
        regs[insn.dst] = found;
        break;
      }
      case 'store':
        write(state, dst, insn.offset, does.size, slot, does.operand === 'reg' ? src : constant(insn.imm));
        break;
      case 'storeRelease':
        write(state, dst, insn.offset, does.size, slot, src);
        break;
      case 'atomic':
        write(state, dst, insn.offset, does.size, undefined, undefined);
        if (does.fetch) regs[does.op === 'cmpxchg' ? 0 : insn.src] = undefined;
        break;
      case 'packetLoad':
        regs[0] = undefined;
        break;
      case 'call': {
        if (does.target === 'local') {
          if (record) calls.push({ entry: target(slot, at), args: regs.slice(1, 6) });
          state.frame.clear();
          if (options.movesPacket) forgetPacket(state);
          regs[0] = undefined;
        } else {
          const helper = does.target === 'helper' ? options.helpers(insn.imm) : undefined;
          const map = regs[1]?.kind === 'map' ? regs[1].map : undefined;
          const key =
            helper?.name === 'map_lookup_elem' && isArray(map) ? keptAt(state, regs[2], 0, 4) : undefined;
          if (record && key) reads.set(slot, key);
          if (!helper?.args.every((type) => !WRITES.has(type))) state.frame.clear();
          if (helper?.changesPacket) forgetPacket(state);
          forgetSite(state, slot);
          const nonNull = map !== undefined && boundsOf(key?.value).max < map.maxEntries;
          regs[0] =
            helper?.returns === 'map-value-or-null' && map
              ? { kind: 'element', map, site: slot, offset: 0, slack: 0, nonNull, mixed: false }
              : undefined;
        }
        for (let r = 1; r <= 5; r++) regs[r] = undefined;
        break;
      }
    }
  };

  const run = (block: Block, entry: State, record: boolean): State => {
    const state = copyOf(entry);
    block.items.forEach((item, i) => {
      if (item.kind === 'insn') step(state, item.slot, record);
      else if (item.kind === 'condition' && record) before.set(item.slot, state.regs.slice());
      else if (item.kind === 'select') {
        const other = copyOf(state);
        // Only right after the condition are its operands still what was compared.
        if (block.items[i - 1]?.kind === 'condition') {
          refine(code, item.branch, item.when, state);
          refine(code, item.branch, !item.when, other);
        }
        for (const slot of item.slots) step(state, slot, record);
        mergeInto(state, other);
      }
    });
    if (record && block.exit.kind === 'branch') {
      const { slot } = block.exit;
      before.set(slot, state.regs.slice());
      const taken = decidedNull(code, slot, state);
      if (taken !== undefined) decided.set(slot, taken);
    }
    return state;
  };

  const entry: State = { regs: new Array<Provenance>(11).fill(undefined), frame: new Map() };
  args.forEach((p, i) => {
    entry.regs[i + 1] = p;
  });
  entry.regs[10] = { kind: 'stack', offset: 0, slack: 0 };
  const counters = new Counters(loops);
  const states = new Map<number, State>();
  const work = new Worklist(order);
  const arrive = (to: number, state: State) => {
    const known = states.get(to);
    if (!known) states.set(to, state);
    else if (!mergeInto(known, state, { id: to, repeats: loops.has(to) })) return;
    work.add(to);
  };
  counters.enter(graph.entry, entry, undefined, undefined);
  arrive(graph.entry, entry);
  let visits = VISITS_PER_BLOCK * order.sequence.length;
  for (let id = work.take(); id !== undefined; id = work.take()) {
    // Not worth the time: without it every access is checked when it is made.
    if (visits-- === 0) return { ...NOTHING, calls: unknownCalls(code, flow) };
    const from = states.get(id);
    if (!from) continue;
    const block = blockOf(graph, id);
    const after = run(block, from, false);
    for (const to of successors(block.exit)) {
      const state = copyOf(after);
      if (block.exit.kind === 'branch') refine(code, block.exit.slot, block.exit.taken === to, state);
      // A counter that turns out to be none makes what its loop's back edges bring count again.
      if (counters.enter(to, state, id, states.get(to)))
        for (const m of loops.get(to)?.members ?? []) work.add(m);
      arrive(to, state);
    }
  }
  for (const [id, state] of states) run(blockOf(graph, id), state, true);
  return { before, reads, decided, calls, rounds: counters.rounds };
}

const copyOf = (state: State): State => ({ regs: state.regs.slice(), frame: new Map(state.frame) });

/** Blocks to be looked at, earlier ones (in reverse postorder) first, so that most are looked at once. */
class Worklist {
  readonly #order: Order;
  readonly #pending: Uint8Array;
  #first: number;

  constructor(order: Order) {
    this.#order = order;
    this.#pending = new Uint8Array(order.sequence.length);
    this.#first = order.sequence.length;
  }

  add(id: number): void {
    const at = this.#order.index.get(id);
    if (at === undefined) return;
    this.#pending[at] = 1;
    if (at < this.#first) this.#first = at;
  }

  take(): number | undefined {
    const at = this.#pending.indexOf(1, this.#first);
    if (at < 0) return undefined;
    this.#pending[at] = 0;
    this.#first = at + 1;
    return this.#order.sequence[at];
  }
}

function ofConstant(found: Constant | undefined): Provenance {
  if (!found || found.kind === 'function') return anyNumber;
  return found.kind === 'map'
    ? { kind: 'map', map: found.map }
    : { kind: 'value', map: found.map, offset: found.offset, slack: 0 };
}

/** Where states meet: at the beginning of a block, which a loop may come back to. */
interface Place {
  readonly id: number;
  readonly repeats: boolean;
}

/**
 * Joins `from` into `into`; whether that changed anything. Where pointers from two bases meet at the beginning of a
 * block, what arrives there is a base of its own; what grows there from round to round soon has no bounds.
 */
function mergeInto(into: State, from: State, at?: Place): boolean {
  let changed = false;
  for (let r = 0; r <= 9; r++) {
    const [known, arriving] = [into.regs[r], from.regs[r]];
    const joined = at ? meet(known, arriving, -(at.id * 16 + r) - 1) : join(known, arriving);
    if (same(joined, known)) continue;
    into.regs[r] = at?.repeats ? widened(known, joined) : joined;
    changed = true;
  }
  for (const [offset, known] of into.frame) {
    const joined = joinKept(known, from.frame.get(offset));
    if (joined === known) continue;
    changed = true;
    const value = at?.repeats ? widened(known.value, joined?.value) : joined?.value;
    if (joined) into.frame.set(offset, { ...joined, value });
    else into.frame.delete(offset);
  }
  return changed;
}

function widened(known: Provenance, joined: Provenance): Provenance {
  if (known?.kind !== 'number' || joined?.kind !== 'number') return joined;
  return { ...joined, ...widen(known, joined) };
}

/**
 * Joins at the beginning of a block. Packet pointers that do not agree become base `id`, the block's own for this
 * register: whatever arrives later is that base again, so that it never moves and the analysis ends.
 */
function meet(known: Provenance, arriving: Provenance, id: number): Provenance {
  if (!isBase(known) || !isBase(arriving)) return join(known, arriving);
  if (known?.kind === 'packet' && known.id === id) return known;
  const joined = hull(known, arriving) ?? join(known, arriving);
  if (isBase(joined)) return joined;
  return { kind: 'packet', id, offset: 0, slack: 0, range: 0, nullable: false };
}

/** Headers that end at different places are at most so far apart; what moves further is no place any more. */
const MAX_SPREAD = 32;

/** Two places near each other from the same packet base, as one. */
function hull(a: Provenance, b: Provenance): Provenance {
  if (a?.kind !== 'packet' || b?.kind !== 'packet' || a.id === undefined || a.id !== b.id) return undefined;
  if (a.offset === undefined || b.offset === undefined || a.nullable || b.nullable) return undefined;
  const offset = Math.min(a.offset, b.offset);
  const slack = Math.max(a.offset + a.slack, b.offset + b.slack) - offset;
  return slack > MAX_SPREAD && slack > Math.max(a.slack, b.slack)
    ? undefined
    : { ...a, offset, slack, range: Math.min(a.range, b.range) };
}

/** A packet pointer that is certainly not before the packet. */
const isBase = (p: Provenance): boolean =>
  p?.kind === 'packet' && p.id !== undefined && !p.nullable && p.offset !== undefined && p.offset >= 0;
