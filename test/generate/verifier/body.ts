// One function of a program for comparing verifiers: statements, and what is known between them.

import {
  type AccessSize,
  type AluName,
  type AtomicName,
  alu,
  atomic,
  branch,
  byteOrder,
  type ConditionName,
  callHelper,
  callLocal,
  exit,
  type Instruction,
  load,
  loadAcquire,
  loadImm64,
  loadPseudo,
  mayGoto,
  mov,
  movsx,
  neg,
  PseudoSource,
  packetLoad,
  reg,
  slotCount,
  store,
  storeRelease,
} from '../../../src/isa/index.js';
import type { Random } from '../../fuzz/mutate.js';
import {
  type Argument,
  DIRECT,
  HELPERS,
  type HelperShape,
  MAP_NAMES,
  MAPS,
  type MapName,
  type ProgramKind,
} from './world.js';

/** What a register or a stack slot holds, as far as the generator keeps it in mind. */
type Held =
  | { readonly kind: 'nothing' | 'scalar' | 'ctx' | 'frame' | 'end' | 'socket' | 'socketOrNull' }
  /** A number below `bound`. */
  | { readonly kind: 'bounded'; readonly bound: number }
  | { readonly kind: 'map'; readonly map: MapName }
  | { readonly kind: 'value' | 'valueOrNull'; readonly map: MapName }
  /** `size` bytes of a ring buffer. */
  | { readonly kind: 'reserved' | 'reservedOrNull'; readonly size: number }
  /** `size` bytes were compared with the end. */
  | { readonly kind: 'packet'; readonly size: number };

const NOTHING: Held = { kind: 'nothing' };
const SCALAR: Held = { kind: 'scalar' };
const FRAME = 10;
const SLOTS = 10;

const OPERATIONS: readonly AluName[] = [
  ...(['add', 'sub', 'mul', 'div', 'or', 'and', 'lsh', 'rsh', 'mod', 'xor', 'mov', 'arsh'] as const),
  ...(['add', 'sub', 'and', 'and', 'or', 'rsh', 'sdiv', 'smod'] as const),
];
const CONDITIONS: readonly ConditionName[] = [
  ...(['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sgt', 'sge', 'slt', 'sle', 'set'] as const),
];
const ATOMICS: readonly AtomicName[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];
const SIZES: readonly AccessSize[] = [1, 2, 4, 8];
const EDGES = [
  ...[0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 48, 63, 64, 255, 256, 4095, 65535, -1, -2, -8],
  ...[0x7fff_ffff, -0x8000_0000, 0x4000_0000, 0x8000],
];
const WIDE_EDGES = [
  ...[0n, 1n, -1n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n, (1n << 63n) - 1n, -(1n << 63n)],
  ...[0xffff_ffff_0000_0000n, 0x1_0000_0010n, -(1n << 31n), -(1n << 32n)],
];

export class Body {
  readonly #random: Random;
  readonly #kind: ProgramKind;
  readonly #number: number;
  readonly #callees: number;
  #regs: Held[];
  /** By -offset / 8 - 1. */
  #stack: Held[] = new Array(SLOTS).fill(NOTHING);
  #depth = 0;

  /** `number`: which function; those up to `callees` behind it may be called. */
  constructor(random: Random, kind: ProgramKind, number: number, callees: number) {
    this.#random = random;
    this.#kind = kind;
    this.#number = number;
    this.#callees = callees;
    this.#regs = new Array(11).fill(NOTHING);
    this.#regs[FRAME] = { kind: 'frame' };
    this.#regs[1] = { kind: 'ctx' };
    if (number > 0) this.#regs[2] = SCALAR;
  }

  /** All of it: what begins, `length` statements, and the exit. */
  whole(length: number): Instruction[] {
    const code: Instruction[] = [];
    // The context is kept where legacy loads want it.
    if (this.#below(8)) code.push(...this.#move(6, 1));
    for (let i = 0; i < length; i++) code.push(...this.#statement());
    code.push(...this.#leave());
    return code;
  }

  #below(bound: number): number {
    return this.#random.below(bound);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }

  /** Something that makes no sense is wanted: about once in fifty times. */
  #wild(): boolean {
    return this.#below(50) === 0;
  }

  #imm(): number {
    return this.#below(3) ? this.#pick(EDGES) : this.#below(128) - 16;
  }

  /** A register to write, but the frame pointer and often not the context. */
  #target(): number {
    const to = this.#below(10);
    return to === 6 && this.#below(8) ? 7 : to;
  }

  #holding(...kinds: Held['kind'][]): number | undefined {
    const found: number[] = [];
    for (let i = 0; i <= FRAME; i++) if (kinds.includes((this.#regs[i] as Held).kind)) found.push(i);
    return this.#wild() ? this.#below(11) : found.length === 0 ? undefined : this.#pick(found);
  }

  #scalar(): number | undefined {
    return this.#holding('scalar', 'bounded');
  }

  #move(to: number, from: number): Instruction[] {
    this.#regs[to] = this.#regs[from] as Held;
    return [mov(to, reg(from))];
  }

  #set(to: number, held: Held): void {
    if (to < FRAME) this.#regs[to] = held;
  }

  #statement(): Instruction[] {
    const which = this.#below(100);
    if (which < 22) return this.#arithmetic();
    if (which < 32) return this.#numberStatement();
    if (which < 42) return this.#stackAccess();
    if (which < 50) return this.#access();
    if (which < 66) return this.#helper();
    if (which < 72) return this.#packet();
    if (which < 76) return this.#field();
    if (which < 79) return this.#mapPointer();
    if (which < 83) return this.#atomic();
    if (which < 93) return this.#condition();
    if (which < 96) return this.#loop();
    if (which < 98) return this.#call();
    return this.#legacyLoad();
  }

  #statements(count: number): Instruction[] {
    const code: Instruction[] = [];
    for (let i = 0; i < count; i++) code.push(...this.#statement());
    return code;
  }

  /** A number, known or not, or bounded by an operation. */
  #numberStatement(): Instruction[] {
    const to = this.#target();
    const from = this.#scalar();
    switch (this.#below(from === undefined ? 2 : 6)) {
      case 0:
        this.#set(to, SCALAR);
        return [mov(to, this.#imm(), this.#below(2) ? 32 : 64)];
      case 1:
        this.#set(to, SCALAR);
        return [loadImm64(to, this.#pick(WIDE_EDGES))];
      case 2: {
        const bound = this.#pick([1, 3, 7, 8, 15, 31, 63]);
        this.#set(from as number, { kind: 'bounded', bound });
        return [alu('and', from as number, bound, this.#below(2) ? 32 : 64)];
      }
      case 3:
        this.#set(to, SCALAR);
        return [mov(to, reg(from as number), 32)];
      case 4: {
        this.#set(to, SCALAR);
        const size = this.#pick([8, 16, 32] as const);
        return [movsx(to, from as number, size, size === 32 || this.#below(2) ? 64 : 32)];
      }
      default: {
        // A range by two comparisons, each of which may leave the function.
        const at = from as number;
        const bound = 1 + this.#below(32);
        const quick = [mov(0, 0), exit()];
        this.#set(at, { kind: 'bounded', bound });
        if (this.#below(2)) return [branch('le', at, bound, 2, this.#below(2) ? 32 : 64), ...quick];
        return [branch('sgt', at, bound, 1), branch('sge', at, 0, 2), ...quick];
      }
    }
  }

  #arithmetic(): Instruction[] {
    const pointer =
      this.#below(4) === 0 ? this.#holding('value', 'packet', 'frame', 'reserved', 'map', 'ctx') : undefined;
    if (pointer !== undefined) return this.#pointerArithmetic(pointer);
    const dst = this.#scalar();
    if (dst === undefined) {
      const to = this.#target();
      this.#set(to, SCALAR);
      return [mov(to, this.#imm())];
    }
    const width = this.#below(2) ? 32 : 64;
    this.#set(dst, SCALAR);
    const which = this.#below(10);
    if (which === 0) return [neg(dst, width)];
    if (which === 1)
      return [byteOrder(this.#pick(['le', 'be', 'bswap'] as const), dst, this.#pick([16, 32, 64] as const))];
    const op = this.#pick(OPERATIONS);
    const src = this.#scalar();
    if (src !== undefined && this.#below(2)) return [alu(op, dst, reg(src), width)];
    const value = this.#imm();
    const shift = op === 'lsh' || op === 'rsh' || op === 'arsh';
    if (shift && this.#below(30)) return [alu(op, dst, value & (width - 1), width)];
    return [alu(op, dst, value === 0 && this.#below(30) ? 3 : value, width)];
  }

  #pointerArithmetic(pointer: number): Instruction[] {
    const to = pointer === FRAME || this.#below(2) ? this.#target() : pointer;
    const code = to === pointer ? [] : this.#move(to, pointer);
    const by = this.#holding('bounded') ?? (this.#below(3) ? undefined : this.#scalar());
    const op = this.#pick(['add', 'add', 'add', 'sub'] as const);
    const width = this.#wild() ? 32 : 64;
    if (this.#wild()) return [...code, alu(this.#pick(OPERATIONS), to, this.#imm(), width)];
    if (by !== undefined && by !== to && this.#below(2)) {
      if (this.#below(6) === 0 && (this.#regs[by] as Held).kind !== 'nothing') {
        // number + pointer
        return [...code, alu('add', by, reg(to), width)];
      }
      return [...code, alu(op, to, reg(by), width)];
    }
    const distance =
      (this.#regs[to] as Held).kind === 'frame' ? -8 * this.#below(SLOTS + 1) : this.#below(20);
    return [...code, alu('add', to, this.#below(10) ? distance : this.#imm(), width)];
  }

  #slotOffset(): number {
    return -8 * (1 + this.#below(SLOTS));
  }

  #stackAccess(): Instruction[] {
    const at = this.#slotOffset();
    const slot = -at / 8 - 1;
    switch (this.#below(6)) {
      case 0: {
        this.#stack[slot] = SCALAR;
        const size = this.#pick(SIZES);
        const offset = at + (this.#below(6) ? 0 : this.#below(8 / size) * size);
        return [store(size, FRAME, offset, this.#imm())];
      }
      case 1:
      case 2: {
        // A spill.
        const from = this.#below(10);
        const held = this.#regs[from] as Held;
        if (held.kind === 'nothing' && !this.#wild()) return [];
        const size = held.kind === 'scalar' && this.#below(3) === 0 ? this.#pick(SIZES) : 8;
        this.#stack[slot] = held;
        return [store(size, FRAME, at, reg(from))];
      }
      case 3:
      case 4: {
        // A fill.
        const held = this.#stack[slot] as Held;
        if (held.kind === 'nothing' && this.#below(6)) return [];
        const to = this.#target();
        const size = held.kind === 'scalar' && this.#below(2) ? this.#pick(SIZES) : 8;
        this.#set(to, held.kind === 'nothing' ? SCALAR : held);
        const offset = size === 8 || this.#below(3) ? at : at + this.#below(8 / size) * size;
        return [load(size, to, FRAME, offset, size < 8 && this.#below(4) === 0)];
      }
      default: {
        // Where in the stack is not known.
        const index = this.#holding('bounded');
        const base = 7 + this.#below(2);
        if (index === undefined || index === base) return [];
        const code = [mov(base, reg(FRAME)), alu('add', base, at - 8), alu('add', base, reg(index))];
        this.#set(base, NOTHING);
        const size = this.#pick(SIZES);
        if (this.#below(2)) return [...code, store(size, base, 0, this.#imm())];
        const to = this.#target();
        this.#set(to, SCALAR);
        return [...code, load(size, to, base)];
      }
    }
  }

  /** What can be reached behind a pointer, in bytes. */
  #room(held: Held): number {
    if (held.kind === 'value') return MAPS[held.map].valueSize;
    if (held.kind === 'packet' || held.kind === 'reserved') return held.size;
    return 16;
  }

  #access(): Instruction[] {
    const base = this.#holding('value', 'packet', 'reserved', 'value', 'packet', 'valueOrNull');
    if (base === undefined) return this.#field();
    const held = this.#regs[base] as Held;
    if (held.kind === 'valueOrNull' && this.#below(6)) return this.#test(base);
    const size = this.#pick(SIZES);
    const room = this.#room(held);
    const offset =
      this.#below(20) === 0
        ? this.#pick([-1, room - size + 1, room])
        : this.#below(Math.max(1, room - size + 1));
    const from = this.#scalar();
    const which = this.#below(4);
    if (which === 0) return [store(size, base, offset, this.#imm())];
    if (which === 1 && from !== undefined) return [store(size, base, offset, reg(from))];
    const to = this.#target();
    this.#set(to, SCALAR);
    return [load(size, to, base, offset, size < 8 && this.#below(5) === 0)];
  }

  /** A field of the context. */
  #field(): Instruction[] {
    const ctx = this.#holding('ctx');
    if (ctx === undefined) return [];
    const offset = this.#wild() ? this.#below(200) : this.#pick(this.#kind.fields);
    const to = this.#target();
    if (this.#below(12) === 0) return [store(4, ctx, offset, this.#imm())];
    this.#set(to, SCALAR);
    return [load(this.#kind.wide ? 8 : this.#below(8) ? 4 : this.#pick(SIZES), to, ctx, offset)];
  }

  /** data and data_end, and a comparison of both. */
  #packet(): Instruction[] {
    const { packet } = this.#kind;
    const ctx = this.#holding('ctx');
    if (packet === undefined || ctx === undefined) return this.#condition();
    const at = this.#pick([2, 7, 8]);
    const end = this.#pick([3, 4, 9]);
    if (at === ctx || end === ctx) return [];
    const size = 1 + this.#below(40);
    const code = [load(4, at, ctx, packet[0]), load(4, end, ctx, packet[1])];
    const scratch = this.#pick([0, 5]);
    const variable = this.#holding('bounded');
    this.#set(at, { kind: 'packet', size });
    this.#set(end, { kind: 'end' });
    this.#set(scratch, NOTHING);
    if (variable !== undefined && variable !== at && variable !== end && this.#below(3) === 0) {
      code.push(alu('add', at, reg(variable)));
    }
    code.push(mov(scratch, reg(at)), alu('add', scratch, size));
    const quick = [mov(0, 0), exit()];
    const operands = this.#below(2) ? ([scratch, end] as const) : ([end, scratch] as const);
    const within =
      operands[0] === scratch ? this.#pick(['le', 'lt'] as const) : this.#pick(['ge', 'gt'] as const);
    return [...code, branch(within, operands[0], reg(operands[1]), 2), ...quick];
  }

  #mapPointer(): Instruction[] {
    const to = this.#target();
    if (this.#below(2)) {
      const map = this.#pick(MAP_NAMES);
      this.#set(to, { kind: 'map', map });
      return [loadPseudo(to, PseudoSource.MAP_FD, MAP_NAMES.indexOf(map))];
    }
    const map = this.#pick(this.#wild() ? MAP_NAMES : DIRECT);
    const offset = this.#below(20) === 0 ? this.#below(64) : 0;
    this.#set(to, { kind: 'value', map });
    return [loadPseudo(to, PseudoSource.MAP_VALUE, MAP_NAMES.indexOf(map), offset)];
  }

  #atomic(): Instruction[] {
    const onStack = this.#below(2) === 0;
    const at = this.#slotOffset();
    const base = onStack ? FRAME : this.#holding('value', 'reserved', 'value', 'packet');
    const src = this.#scalar();
    if (base === undefined || src === undefined) return [];
    const bytes = this.#pick([4, 8] as const);
    const offset = onStack ? at : this.#below(2) * 8 + (this.#wild() ? 1 : 0);
    const before =
      onStack && (this.#stack[-at / 8 - 1] as Held).kind === 'nothing'
        ? [store(8, FRAME, at, this.#imm())]
        : [];
    if (onStack) this.#stack[-at / 8 - 1] = SCALAR;
    const which = this.#below(8);
    if (which === 0) return [...before, storeRelease(this.#pick(SIZES), base, offset, src)];
    if (which === 1) {
      const to = this.#target();
      this.#set(to, SCALAR);
      return [...before, loadAcquire(this.#pick(SIZES), to, base, offset)];
    }
    const op = this.#pick(ATOMICS);
    if (op === 'cmpxchg') this.#set(0, SCALAR);
    const r0 = op === 'cmpxchg' && (this.#regs[0] as Held).kind === 'nothing' ? [mov(0, this.#imm())] : [];
    this.#set(src, SCALAR);
    return [...before, ...r0, atomic(op, bytes, base, offset, src, this.#below(2) === 0)];
  }

  /** A comparison of a register with null, or of numbers; what is behind it is skipped, or is left out of the function. */
  #condition(): Instruction[] {
    const nullable = this.#holding('valueOrNull', 'reservedOrNull', 'socketOrNull');
    if (nullable !== undefined && this.#below(2)) return this.#test(nullable);
    const dst = this.#below(12) ? this.#scalar() : this.#below(11);
    if (dst === undefined || this.#depth > 3) return [];
    const src = this.#below(12) ? this.#scalar() : this.#below(11);
    // A register compared with itself breaks what Linux believes of its bounds, and it warns.
    const operand = src !== undefined && src !== dst && this.#below(3) === 0 ? reg(src) : this.#imm();
    const name = this.#pick(CONDITIONS);
    const width = this.#below(2) ? 32 : 64;
    const before = [this.#regs.slice(), this.#stack.slice()] as const;
    this.#depth++;
    const then = this.#statements(1 + this.#below(3));
    const after = [this.#regs, this.#stack] as const;
    this.#depth--;
    if (this.#below(3)) {
      this.#join(...before);
      return [branch(name, dst, operand, slotCount(then), width), ...then];
    }
    [this.#regs, this.#stack] = [before[0].slice(), before[1].slice()];
    this.#depth++;
    const other = this.#statements(1 + this.#below(2));
    this.#depth--;
    this.#join(...after);
    const over = branch('eq', 0, 0, 0);
    return [
      branch(name, dst, operand, slotCount(then) + 1, width),
      ...then,
      { ...over, opcode: 0x05, dst: 0, imm: 0, offset: slotCount(other) },
      ...other,
    ];
  }

  /** What both ways agree on. */
  #join(regs: readonly Held[], stack: readonly Held[]): void {
    const same = (a: Held, b: Held): Held => {
      if (JSON.stringify(a) === JSON.stringify(b)) return a;
      const numbers = ['scalar', 'bounded'];
      return numbers.includes(a.kind) && numbers.includes(b.kind) ? SCALAR : NOTHING;
    };
    this.#regs = this.#regs.map((held, i) => same(held, regs[i] as Held));
    this.#stack = this.#stack.map((held, i) => same(held, stack[i] as Held));
  }

  /** A test of a pointer that may be null: out of the function, or around what uses it. */
  #test(at: number): Instruction[] {
    const held = this.#regs[at] as Held;
    const found: Held =
      held.kind === 'valueOrNull'
        ? { ...held, kind: 'value' }
        : held.kind === 'reservedOrNull'
          ? { ...held, kind: 'reserved' }
          : held.kind === 'socketOrNull'
            ? { kind: 'socket' }
            : held;
    const known = (from: Held): Held => (JSON.stringify(from) === JSON.stringify(held) ? found : from);
    if (this.#below(2)) {
      this.#regs = this.#regs.map(known);
      return [branch('ne', at, 0, 2), mov(0, 0), exit()];
    }
    const before = [this.#regs.slice(), this.#stack.slice()] as const;
    this.#regs = this.#regs.map(known);
    this.#stack = this.#stack.map(known);
    this.#depth++;
    const then = this.#statements(1 + this.#below(3));
    // An object that was acquired is given back on this way.
    if (found.kind === 'reserved' || found.kind === 'socket') then.push(...this.#release(found));
    this.#depth--;
    this.#join(...before);
    this.#set(at, NOTHING);
    return [branch('eq', at, 0, slotCount(then)), ...then];
  }

  #release(held: Held): Instruction[] {
    const at = this.#regs.findIndex((one) => JSON.stringify(one) === JSON.stringify(held));
    if (at < 0 || this.#wild()) return [];
    const code = at === 1 ? [] : [mov(1, reg(at))];
    if (held.kind === 'reserved') code.push(mov(2, 0));
    this.#regs = this.#regs.map((one, i) =>
      i < 6 || JSON.stringify(one) === JSON.stringify(held) ? (i === FRAME ? one : NOTHING) : one,
    );
    this.#set(0, SCALAR);
    if (held.kind === 'reserved') this.#set(0, NOTHING);
    return [...code, callHelper(held.kind === 'socket' ? 86 : 132 + this.#below(2))];
  }

  #helper(): Instruction[] {
    const name = this.#pick(this.#kind.helpers);
    const shape: HelperShape = HELPERS[name];
    const map = shape.maps && (this.#wild() ? this.#pick(MAP_NAMES) : this.#pick(shape.maps));
    const code: Instruction[] = [];
    let size = 1 + this.#below(24);
    // Nothing that an argument needs may be overwritten by one before it.
    const written = new Set<number>();
    for (const [i, argument] of shape.args.entries()) {
      const made = this.#argument(argument, i + 1, map, size, written);
      if (made === undefined) return [];
      code.push(...made);
      written.add(i + 1);
      if (argument === 'size') size = 1 + this.#below(24);
    }
    code.push(callHelper(this.#below(200) ? shape.id : this.#below(220)));
    for (let i = 1; i <= 5; i++) this.#set(i, NOTHING);
    const { gives } = shape;
    this.#set(
      0,
      gives === 'valueOrNull'
        ? { kind: gives, map: map ?? 'array' }
        : gives === 'reservedOrNull'
          ? { kind: gives, size }
          : gives === 'socketOrNull'
            ? { kind: gives }
            : SCALAR,
    );
    if (shape.movesPacket) {
      const lost = (held: Held): Held => (held.kind === 'packet' || held.kind === 'end' ? NOTHING : held);
      this.#regs = this.#regs.map(lost);
      this.#stack = this.#stack.map(lost);
    }
    // Mostly looked at before anything else happens.
    if (gives !== undefined && this.#below(5)) {
      if (this.#below(3) === 0) code.push(...this.#move(this.#pick([7, 8, 9]), 0));
      code.push(...this.#test(0));
    }
    return code;
  }

  /** Code that puts an argument into register `to`; undefined when there is nothing to put. */
  #argument(
    argument: Argument,
    to: number,
    map: MapName | undefined,
    size: number,
    written: ReadonlySet<number>,
  ): Instruction[] | undefined {
    const from = (at: number | undefined): Instruction[] | undefined =>
      at === undefined || written.has(at) ? undefined : at === to ? [] : [mov(to, reg(at))];
    switch (argument) {
      case 'map':
        return [loadPseudo(to, PseudoSource.MAP_FD, MAP_NAMES.indexOf(map ?? 'array'))];
      case 'ctx':
        return from(this.#holding('ctx'));
      case 'socket':
        return from(this.#holding('socket'));
      case 'reserved':
        return from(this.#holding('reserved'));
      case 'scalar': {
        const at = this.#scalar();
        return (this.#below(2) ? from(at) : undefined) ?? [mov(to, this.#imm())];
      }
      case 'any':
        return from(this.#below(11)) ?? [mov(to, this.#imm())];
      case 'flags':
        return [mov(to, this.#below(8) ? 0 : this.#imm())];
      case 'zero':
        return [mov(to, this.#wild() ? 1 : 0)];
      case 'size': {
        const at = this.#holding('bounded');
        if (at !== undefined && !written.has(at) && this.#below(3) === 0) return from(at);
        return [mov(to, this.#wild() ? this.#imm() : size)];
      }
      default: {
        // Memory: of the stack, mostly written before, or a value, or the packet.
        const { keySize, valueSize } = MAPS[map ?? 'array'];
        const bytes = argument === 'key' ? keySize : argument === 'value' ? valueSize : size;
        const other = this.#below(3) === 0 ? this.#holding('value', 'packet', 'reserved') : undefined;
        if (other !== undefined && !written.has(other)) return from(other);
        const slots = Math.min(SLOTS, Math.ceil(bytes / 8));
        const first = slots + this.#below(SLOTS - slots + 1);
        const code: Instruction[] = [];
        for (let slot = first; slot > first - slots; slot--) {
          if ((this.#stack[slot - 1] as Held).kind !== 'nothing' || this.#wild()) continue;
          this.#stack[slot - 1] = SCALAR;
          code.push(store(8, FRAME, -8 * slot, this.#below(4)));
        }
        return [...code, mov(to, reg(FRAME)), alu('add', to, -8 * first)];
      }
    }
  }

  #loop(): Instruction[] {
    if (this.#depth > 1) return [];
    const counter = 9;
    const before = [this.#regs.slice(), this.#stack.slice()] as const;
    this.#set(counter, { kind: 'bounded', bound: 8 });
    this.#depth += 2;
    const inside = this.#statements(1 + this.#below(2)).filter(
      ({ dst, opcode }) => dst !== counter || (opcode & 7) === 5,
    );
    this.#depth -= 2;
    this.#join(...before);
    this.#set(counter, SCALAR);
    const times = 1 + this.#below(6);
    const length = slotCount(inside);
    if (this.#below(4) === 0) {
      return [mayGoto(length + 1), ...inside, { ...mov(0, 0), opcode: 0x05, offset: -length - 2 }];
    }
    if (this.#below(2)) {
      return [mov(counter, times), ...inside, alu('sub', counter, 1), branch('ne', counter, 0, -length - 2)];
    }
    return [mov(counter, 0), ...inside, alu('add', counter, 1), branch('lt', counter, times, -length - 2)];
  }

  /** A function of the program, with the context and a number. */
  #call(): Instruction[] {
    if (this.#number >= this.#callees) return this.#arithmetic();
    const callee = this.#number + 1 + this.#below(this.#callees - this.#number);
    const ctx = this.#holding('ctx');
    if (ctx === undefined) return [];
    const number = this.#scalar();
    const code = [
      ...(number === undefined || number === ctx ? [mov(2, this.#imm())] : [mov(2, reg(number))]),
      ...(ctx === 1 ? [] : [mov(1, reg(ctx === 2 ? 6 : ctx))]),
      callLocal(callee),
    ];
    for (let i = 1; i <= 5; i++) this.#set(i, NOTHING);
    this.#set(0, SCALAR);
    return code;
  }

  #legacyLoad(): Instruction[] {
    if (!this.#kind.legacyLoads && this.#below(10)) return this.#numberStatement();
    const index = this.#scalar();
    const code = packetLoad(
      this.#pick([1, 2, 4] as const),
      this.#below(64),
      index !== undefined && this.#below(2) ? reg(index) : undefined,
    );
    for (let i = 1; i <= 5; i++) this.#set(i, NOTHING);
    this.#set(0, SCALAR);
    return [code];
  }

  /** The end: mostly with what the program's type may return. */
  #leave(): Instruction[] {
    if (this.#below(12) === 0 && (this.#regs[0] as Held).kind === 'scalar') return [exit()];
    return [mov(0, this.#below(30) ? this.#below(2) : this.#imm()), exit()];
  }
}
