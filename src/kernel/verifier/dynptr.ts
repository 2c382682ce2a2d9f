// Dynptrs: two stack slots that hold a bounded window of memory. What is known of one is kept in both, in the words of
// a Reg: object0 is its kind, object1 tells the slot with the lower address, id tells it from others, refObjId is what
// must be given back.

import { Errno } from '../../bpf/errno.js';
import { checkAccess } from './access.js';
import type { CallFacts } from './arguments.js';
import { type Address, layout as L } from './domain.js';
import { forEachReg } from './paths.js';
import { DYNPTR_NAMES } from './print.js';
import { acquireReference, markInvalid, releaseReference } from './references.js';
import { markPointer } from './registers.js';
import { freeSlot, NOT_THERE, objectSlot, readObject, slotIs, takeSlot } from './stack-objects.js';
import type { HelperArg } from './tables/types.js';
import type { Verifier } from './verifier.js';

const SLOTS = 2;

/** Kinds (enum bpf_dynptr_type), the numbers of DYNPTR_NAMES. */
export const DynptrKind = { NONE: 0, LOCAL: 1, RINGBUF: 2, SKB: 3, XDP: 4, SKB_META: 5 } as const;

const FLAGS: readonly number[] = [
  0,
  L.DYNPTR_LOCAL,
  L.DYNPTR_RINGBUF,
  L.DYNPTR_SKB,
  L.DYNPTR_XDP,
  L.DYNPTR_SKB_META,
];
/** What a slice of a dynptr of this kind has in its type. */
export const dynptrFlag = (kind: number): number => FLAGS[kind] ?? 0;

const isReferenced = (kind: number): boolean => kind === DynptrKind.RINGBUF;

const slotOfDynptr = (v: Verifier, r: Address): number => objectSlot(v, r, 'dynptr', SLOTS);

/** The register that says what the dynptr is: of the stack, or a constant one's own. */
function dynptrOf(v: Verifier, number: number): Address {
  const r = v.reg(number);
  if (v.d.type(r) === L.DYNPTR) return r;
  const slot = slotOfDynptr(v, r);
  return slot < 0 ? 0 : v.d.slotReg(v.frameAt(v.d.frameno(r)), slot);
}

/** Kind, id and reference of the dynptr in a register. */
export function describeDynptr(v: Verifier, number: number): { type: number; id: number; refObjId: number } {
  const { d } = v;
  const r = dynptrOf(v, number);
  if (!r) return v.reject(Errno.EINVAL);
  return { type: d.object(r, 0), id: d.id(r), refObjId: d.refObjId(r) };
}

/** The slot with the lower address of the dynptr that `slot` is part of; -1 when it is part of none. */
function beginOf(v: Verifier, frame: Address, slot: number): number {
  const { d } = v;
  if (slot < 0 || slot >= d.slots(frame) || d.slotByte(frame, slot, 0) !== L.SLOT_DYNPTR) return -1;
  return d.object(d.slotReg(frame, slot), 1) ? slot : slot + 1;
}

function forget(v: Verifier, frameno: number, slot: number): void {
  freeSlot(v, frameno, slot);
  freeSlot(v, frameno, slot - 1);
}

/** A write into a slot of a dynptr destroys it, and what was sliced from it. */
export function destroyDynptrAt(v: Verifier, frameno: number, slot: number): void {
  const { d } = v;
  const frame = v.frameAt(frameno);
  const begin = beginOf(v, frame, slot);
  if (begin < 0) return;
  const r = d.slotReg(frame, begin);
  if (isReferenced(d.object(r, 0))) v.reject(Errno.EINVAL, 'cannot overwrite referenced dynptr');
  const id = d.id(r);
  forEachReg(v, v.state, (slice) => {
    if ((d.type(slice) & ~L.MAYBE_NULL) === L.MEM && d.object(slice, 1) === id) markInvalid(v, slice);
  });
  forget(v, frameno, begin);
}

/** What an argument asks of a dynptr. */
export interface DynptrArgument {
  /** It is made here. */
  readonly uninit?: boolean;
  /** It is not changed, so that a constant one will do. */
  readonly readOnly?: boolean;
  /** Its kind; 0 for any. */
  readonly kind: number;
  /** The reference that a copy shares. */
  readonly sharedRef?: number;
}

export function checkDynptr(v: Verifier, number: number, arg: DynptrArgument): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  if (type !== L.STACK && type !== L.DYNPTR) {
    v.reject(Errno.EINVAL, `arg#${number - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if (arg.uninit) {
    if (arg.readOnly) v.bug('misconfigured dynptr helper type flags');
    makeDynptr(v, number, arg);
    return;
  }
  if (type === L.DYNPTR) {
    if (!arg.readOnly) {
      v.reject(Errno.EINVAL, 'cannot pass pointer to const bpf_dynptr, the helper mutates it');
    }
  } else if (!isInitialised(v, r)) {
    v.reject(Errno.EINVAL, `Expected an initialized dynptr as arg #${number - 1}`);
  }
  if (arg.kind && d.object(dynptrOf(v, number), 0) !== arg.kind) {
    const name = DYNPTR_NAMES[arg.kind as 1];
    v.reject(Errno.EINVAL, `Expected a dynptr of type ${name} as arg #${number - 1}`);
  }
  if (type === L.STACK) readObject(v, d.frameno(r), slotOfDynptr(v, r), SLOTS);
}

function isInitialised(v: Verifier, r: Address): boolean {
  const { d } = v;
  const slot = slotOfDynptr(v, r);
  if (slot < 0) return false;
  const frame = v.frameAt(d.frameno(r));
  return (
    d.object(d.slotReg(frame, slot), 1) !== 0 &&
    slotIs(v, frame, slot, L.SLOT_DYNPTR) &&
    slotIs(v, frame, slot - 1, L.SLOT_DYNPTR)
  );
}

function makeDynptr(v: Verifier, number: number, { kind, sharedRef }: DynptrArgument): void {
  const { d } = v;
  const place = d.type(v.reg(number)) === L.DYNPTR ? -1 : slotOfDynptr(v, v.reg(number));
  if (place < 0 && place !== NOT_THERE) {
    v.reject(Errno.EINVAL, 'Dynptr has to be an uninitialized dynptr');
  }
  for (let i = 0; i < SLOTS; i++) {
    checkAccess(v, { pointer: number, off: i * 8, size: 8, type: 'write', value: -1 });
  }
  const frameno = d.frameno(v.reg(number));
  const slot = slotOfDynptr(v, v.reg(number));
  if (slot < 0 || !kind) v.reject(Errno.EINVAL);
  destroyDynptrAt(v, frameno, slot);
  destroyDynptrAt(v, frameno, slot - 1);
  const id = v.newId();
  const ref = isReferenced(kind) ? sharedRef || acquireReference(v) : 0;
  for (let i = 0; i < SLOTS; i++) {
    const r = takeSlot(v, frameno, slot - i, L.SLOT_DYNPTR);
    describe(v, r, kind, i === 0, id);
    d.setRefObjId(r, ref);
  }
}

function describe(v: Verifier, r: Address, kind: number, first: boolean, id: number): void {
  const { d } = v;
  d.known(r, 0);
  d.setType(r, L.DYNPTR);
  d.setId(r, id);
  d.setObject(r, 0, kind);
  d.setObject(r, 1, first ? 1 : 0);
}

const KINDS = { local: DynptrKind.LOCAL, ringbuf: DynptrKind.RINGBUF } as const;

export function checkDynptrArgument(v: Verifier, _facts: CallFacts, number: number, arg: HelperArg): void {
  checkDynptr(v, number, {
    uninit: arg.uninit === true,
    readOnly: arg.readOnly === true,
    kind: arg.dynptr ? KINDS[arg.dynptr] : DynptrKind.NONE,
  });
}

/** A dynptr that is given back must hold something. */
export function checkDynptrRelease(v: Verifier, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  if (d.type(r) !== L.STACK) v.reject(Errno.EINVAL, 'cannot release unowned const bpf_dynptr');
  const held = dynptrOf(v, number);
  if (!held || !d.refObjId(held)) v.reject(Errno.EINVAL, `arg ${number} is an unacquired reference`);
}

/** Gives back what the dynptr in a register holds: it and its copies are gone. */
export function releaseDynptr(v: Verifier, number: number): boolean {
  const { d } = v;
  const pointer = v.reg(number);
  const frameno = d.frameno(pointer);
  const slot = slotOfDynptr(v, pointer);
  if (slot < 0) return false;
  const frame = v.frameAt(frameno);
  const r = d.slotReg(frame, slot);
  if (!isReferenced(d.object(r, 0))) {
    forget(v, frameno, slot);
    return true;
  }
  const ref = d.refObjId(r);
  releaseReference(v, ref);
  for (let i = 1; i < d.slots(frame); i++) {
    const copy = d.slotReg(frame, i);
    if (d.slotByte(frame, i, 0) === L.SLOT_DYNPTR && d.refObjId(copy) === ref && d.object(copy, 1)) {
      forget(v, frameno, i);
    }
  }
  return true;
}

/** Register of the only dynptr that a helper takes. */
const dynptrRegister = ({ signature }: CallFacts): number =>
  signature.args.findIndex(({ kind }) => kind === 'dynptr') + 1;

/** bpf_dynptr_data: what it returns lives as long as the dynptr. */
export function dynptrDataFacts(v: Verifier, facts: CallFacts): void {
  const { id, refObjId } = describeDynptr(v, dynptrRegister(facts));
  facts.dynptrId = id;
  facts.refObjId = refObjId;
}

/** bpf_dynptr_write may move a packet to make room. */
export function dynptrWriteMovesPacket(v: Verifier): boolean {
  const { type } = describeDynptr(v, 1);
  return type === DynptrKind.SKB || type === DynptrKind.SKB_META;
}

/** The constant dynptr that a callback of bpf_user_ringbuf_drain, or a global function, is given. */
export function setDynptrArgument(v: Verifier, r: Address): void {
  markPointer(v, r, L.DYNPTR);
  describe(v, r, DynptrKind.LOCAL, true, v.newId());
}

/** A dynptr that a global function takes. */
export function checkDynptrParameter(v: Verifier, number: number): void {
  checkDynptr(v, number, { readOnly: true, kind: DynptrKind.NONE });
}
