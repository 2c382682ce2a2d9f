// The verifier's memory: registers, frames and states as structures in a linear memory of its own (runtime/verifier),
// read and written by address. An address is a number; 0 is none. Whatever may move the memory goes through a method here.

import { layout, type VerifierFunction, verifierBase64 } from './domain.generated.js';

export { layout };

type Exports = Record<VerifierFunction, (...args: number[]) => number> & {
  memory: WebAssembly.Memory;
};

/** Address of a Reg, Frame, State, Slot ... in the domain's memory. */
export type Address = number;

let compiled: WebAssembly.Module | undefined;

function domainModule(): WebAssembly.Module {
  if (!compiled) {
    const binary = atob(verifierBase64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    compiled = new WebAssembly.Module(bytes);
  }
  return compiled;
}

const {
  Reg_size,
  Reg_type,
  Reg_off,
  Reg_object0,
  Reg_value,
  Reg_mask,
  Reg_smin,
  Reg_smax,
  Reg_umin,
  Reg_umax,
  Reg_s32min,
  Reg_s32max,
  Reg_u32min,
  Reg_u32max,
  Reg_id,
  Reg_refObjId,
  Reg_frameno,
  Reg_subregDef,
  Reg_precise,
  Frame_regs,
  Frame_stack,
  Frame_slots,
  Slot_size,
  Slot_reg,
} = layout;

const TWO_32 = 4294967296;

export class Domain {
  /** The exported functions that allocate nothing: they may be called directly. */
  readonly wasm: Exports;
  i32: Int32Array;
  u32: Uint32Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
  u8: Uint8Array;
  /** Scratch registers that no state owns. */
  readonly temporary: readonly [Address, Address, Address, Address];

  constructor() {
    this.wasm = new WebAssembly.Instance(domainModule(), { env: { abort() {} } })
      .exports as unknown as Exports;
    const { buffer } = this.wasm.memory;
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.u8 = new Uint8Array(buffer);
    const frame = this.frameNew(-1, 0, 0);
    const reg = (i: number) => frame + Frame_regs + i * Reg_size;
    this.temporary = [reg(0), reg(1), reg(2), reg(3)];
  }

  /** The views again after something that may have made the memory grow. */
  #moved<T>(result: T): T {
    const { buffer } = this.wasm.memory;
    if (this.i32.buffer !== buffer) {
      this.i32 = new Int32Array(buffer);
      this.u32 = new Uint32Array(buffer);
      this.i64 = new BigInt64Array(buffer);
      this.u64 = new BigUint64Array(buffer);
      this.u8 = new Uint8Array(buffer);
    }
    return result;
  }

  // ---- states

  stateNew(): Address {
    return this.#moved(this.wasm.stateNew());
  }
  stateCopy(to: Address, from: Address, withHistory: boolean): void {
    this.#moved(this.wasm.stateCopy(to, from, withHistory ? 1 : 0));
  }
  frameNew(callsite: number, frameno: number, subprog: number): Address {
    return this.#moved(this.wasm.frameNew(callsite, frameno, subprog));
  }
  growStack(state: Address, frameno: number, slots: number): void {
    this.#moved(this.wasm.growStack(state, frameno, slots));
  }
  historyPush(state: Address): Address {
    return this.#moved(this.wasm.historyPush(state));
  }
  refPush(state: Address): Address {
    return this.#moved(this.wasm.refPush(state));
  }
  frameClean(frame: Address, liveRegs: number, liveSlots: bigint): void {
    (this.wasm.frameClean as unknown as (f: number, r: number, s: bigint) => void)(
      frame,
      liveRegs,
      liveSlots,
    );
  }
  /** Most bytes that states have ever taken. */
  get peakBytes(): number {
    return this.wasm.peakBytes() >>> 0;
  }

  /** A 32-bit field of any structure. */
  get(at: Address, field: number): number {
    return this.i32[(at + field) >> 2] as number;
  }
  set(at: Address, field: number, value: number): void {
    this.i32[(at + field) >> 2] = value;
  }
  frame(state: Address, i: number): Address {
    return this.i32[(state >> 2) + i] as number;
  }
  current(state: Address): number {
    return this.i32[(state + layout.State_current) >> 2] as number;
  }
  currentFrame(state: Address): Address {
    return this.frame(state, this.current(state));
  }
  reg(frame: Address, i: number): Address {
    return frame + Frame_regs + i * Reg_size;
  }
  slots(frame: Address): number {
    return this.i32[(frame + Frame_slots) >> 2] as number;
  }
  slot(frame: Address, i: number): Address {
    return frame + Frame_stack + i * Slot_size;
  }
  slotReg(frame: Address, i: number): Address {
    return frame + Frame_stack + i * Slot_size + Slot_reg;
  }
  /** Kind of byte `i` of a slot; byte 7 has the lowest address. */
  slotByte(frame: Address, slot: number, i: number): number {
    return this.u8[frame + Frame_stack + slot * Slot_size + i] as number;
  }
  setSlotByte(frame: Address, slot: number, i: number, kind: number): void {
    this.u8[frame + Frame_stack + slot * Slot_size + i] = kind;
  }
  fillSlot(frame: Address, slot: number, kind: number): void {
    const at = frame + Frame_stack + slot * Slot_size;
    this.u8.fill(kind, at, at + 8);
  }

  // ---- registers

  type(r: Address): number {
    return this.i32[(r + Reg_type) >> 2] as number;
  }
  setType(r: Address, type: number): void {
    this.i32[(r + Reg_type) >> 2] = type;
  }
  off(r: Address): number {
    return this.i32[(r + Reg_off) >> 2] as number;
  }
  setOff(r: Address, off: number): void {
    this.i32[(r + Reg_off) >> 2] = off;
  }
  id(r: Address): number {
    return this.u32[(r + Reg_id) >> 2] as number;
  }
  setId(r: Address, id: number): void {
    this.u32[(r + Reg_id) >> 2] = id;
  }
  refObjId(r: Address): number {
    return this.u32[(r + Reg_refObjId) >> 2] as number;
  }
  setRefObjId(r: Address, id: number): void {
    this.u32[(r + Reg_refObjId) >> 2] = id;
  }
  frameno(r: Address): number {
    return this.u32[(r + Reg_frameno) >> 2] as number;
  }
  setFrameno(r: Address, frameno: number): void {
    this.u32[(r + Reg_frameno) >> 2] = frameno;
  }
  object(r: Address, i: 0 | 1 | 2 | 3): number {
    return this.i32[((r + Reg_object0) >> 2) + i] as number;
  }
  setObject(r: Address, i: 0 | 1 | 2 | 3, value: number): void {
    this.i32[((r + Reg_object0) >> 2) + i] = value;
  }
  precise(r: Address): boolean {
    return this.i32[(r + Reg_precise) >> 2] !== 0;
  }
  setPrecise(r: Address, precise: boolean): void {
    this.i32[(r + Reg_precise) >> 2] = precise ? 1 : 0;
  }
  subregDef(r: Address): number {
    return this.i32[(r + Reg_subregDef) >> 2] as number;
  }
  setSubregDef(r: Address, slot: number): void {
    this.i32[(r + Reg_subregDef) >> 2] = slot;
  }

  /** All bits of the value are known. */
  isConst(r: Address): boolean {
    const at = (r + Reg_mask) >> 2;
    return this.i32[at] === 0 && this.i32[at + 1] === 0;
  }
  lowerIsConst(r: Address): boolean {
    return this.i32[(r + Reg_mask) >> 2] === 0;
  }
  /** The known bits, as a signed number: exact below 2^53, never on the wrong side of a limit that is. */
  value(r: Address): number {
    return this.#signed(r + Reg_value);
  }
  valueLow(r: Address): number {
    return this.i32[(r + Reg_value) >> 2] as number;
  }
  valueHigh(r: Address): number {
    return this.i32[((r + Reg_value) >> 2) + 1] as number;
  }
  constant(r: Address): bigint {
    return this.u64[(r + Reg_value) >> 3] as bigint;
  }
  isZero(r: Address): boolean {
    const at = (r + Reg_value) >> 2;
    return this.isConst(r) && this.i32[at] === 0 && this.i32[at + 1] === 0;
  }
  #signed(at: number): number {
    return (this.i32[(at >> 2) + 1] as number) * TWO_32 + (this.u32[at >> 2] as number);
  }
  #unsigned(at: number): number {
    return (this.u32[(at >> 2) + 1] as number) * TWO_32 + (this.u32[at >> 2] as number);
  }
  /** Bounds as numbers: exact below 2^53, and never on the wrong side of a limit that is. */
  smin(r: Address): number {
    return this.#signed(r + Reg_smin);
  }
  smax(r: Address): number {
    return this.#signed(r + Reg_smax);
  }
  umin(r: Address): number {
    return this.#unsigned(r + Reg_umin);
  }
  umax(r: Address): number {
    return this.#unsigned(r + Reg_umax);
  }
  s32min(r: Address): number {
    return this.i32[(r + Reg_s32min) >> 2] as number;
  }
  s32max(r: Address): number {
    return this.i32[(r + Reg_s32max) >> 2] as number;
  }
  u32min(r: Address): number {
    return this.u32[(r + Reg_u32min) >> 2] as number;
  }
  u32max(r: Address): number {
    return this.u32[(r + Reg_u32max) >> 2] as number;
  }
  big(r: Address, field: number): bigint {
    return this.i64[(r + field) >> 3] as bigint;
  }
  setBig(r: Address, field: number, value: bigint): void {
    this.i64[(r + field) >> 3] = value;
  }

  copyReg(to: Address, from: Address): void {
    const a = to >> 2;
    this.i32.copyWithin(a, from >> 2, (from + Reg_size) >> 2);
  }
  clearReg(r: Address): void {
    this.wasm.regClear(r);
  }
  /** Value `imm` (any integer that a number holds), no offset, object or id; the type stays. */
  known(r: Address, imm: number): void {
    this.wasm.regKnown(r, imm | 0, Math.floor(imm / TWO_32) | 0);
  }
  knownPair(r: Address, low: number, high: number): void {
    this.wasm.regKnown(r, low, high);
  }
  unknown(r: Address, precise: boolean): void {
    this.wasm.regUnknown(r, precise ? 1 : 0);
  }
}
