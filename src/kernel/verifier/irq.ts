// bpf_local_irq_save and restore, and the locks that do the same: the interrupt flags lie in a stack slot, and are put
// back in the opposite order.

import { Errno } from '../../bpf/errno.js';
import { checkAccess } from './access.js';
import { type Address, layout as L } from './domain.js';
import { pushReference, RefKind, refAt } from './references.js';
import { freeSlot, NOT_THERE, objectSlot, readObject, slotIs, takeSlot } from './stack-objects.js';
import type { Verifier } from './verifier.js';

/** Who saved the flags (object0): only the same kind of function may restore them. */
const NATIVE = 0;
const LOCK = 1;
const CLASS_NAMES = ['native', 'lock'] as const;

const place = (v: Verifier, r: Address): number => objectSlot(v, r, 'irq_flag', 1);

export function checkIrqFlag(v: Verifier, name: string, number: number): void {
  const at = number - 1;
  if (v.d.type(v.reg(number)) !== L.STACK) {
    v.reject(Errno.EINVAL, `arg#${at} doesn't point to an irq flag on stack`);
  }
  switch (name) {
    case 'bpf_local_irq_save':
      save(v, number, NATIVE);
      return;
    case 'bpf_res_spin_lock_irqsave':
      save(v, number, LOCK);
      return;
    case 'bpf_local_irq_restore':
      restore(v, number, NATIVE);
      return;
    case 'bpf_res_spin_unlock_irqrestore':
      restore(v, number, LOCK);
      return;
    default:
      v.bug('unknown irq flags kfunc');
  }
}

function save(v: Verifier, number: number, kind: number): void {
  const { d } = v;
  const refuse = () => v.reject(Errno.EINVAL, `expected uninitialized irq flag as arg#${number - 1}`);
  const before = place(v, v.reg(number));
  if (before < 0 && before !== NOT_THERE) refuse();
  if (before >= 0) {
    const frame = v.frameAt(d.frameno(v.reg(number)));
    for (let i = 0; i < 8; i++) if (d.slotByte(frame, before, i) === L.SLOT_IRQ_FLAG) refuse();
  }
  checkAccess(v, { pointer: number, off: 0, size: 8, type: 'write', value: -1 });
  const slot = place(v, v.reg(number));
  if (slot < 0) v.reject(Errno.EINVAL);
  const id = v.newId();
  pushReference(v, RefKind.IRQ, id, 0);
  v.setStateField(L.State_irqId, id);
  const r = takeSlot(v, d.frameno(v.reg(number)), slot, L.SLOT_IRQ_FLAG);
  d.setType(r, L.STACK);
  d.setRefObjId(r, id);
  d.setObject(r, 0, kind);
}

function restore(v: Verifier, number: number, kind: number): void {
  const { d } = v;
  const pointer = v.reg(number);
  const frameno = d.frameno(pointer);
  const slot = place(v, pointer);
  const frame = v.frameAt(frameno);
  if (slot < 0 || !slotIs(v, frame, slot, L.SLOT_IRQ_FLAG) || !d.refObjId(d.slotReg(frame, slot))) {
    v.reject(Errno.EINVAL, `expected an initialized irq flag as arg#${number - 1}`);
  }
  readObject(v, frameno, slot, 1);
  const r = d.slotReg(frame, slot);
  const saved = d.object(r, 0);
  if (saved !== kind) {
    v.reject(
      Errno.EINVAL,
      `irq flag acquired by ${CLASS_NAMES[saved as 0]} kfuncs cannot be restored with ${CLASS_NAMES[kind as 0]} kfuncs`,
    );
  }
  release(v, d.refObjId(r));
  freeSlot(v, frameno, slot);
}

function release(v: Verifier, id: number): void {
  const { d } = v;
  const latest = v.stateField(L.State_irqId);
  const count = v.stateField(L.State_refCount);
  let previous = 0;
  let insn = 0;
  for (let i = 0; i < count; i++) {
    const ref = refAt(v, v.state, i);
    const its = d.get(ref, L.Ref_id);
    if (its === latest) insn = d.get(ref, L.Ref_insn);
    if (d.get(ref, L.Ref_kind) !== RefKind.IRQ) continue;
    if (its !== id) {
      previous = its;
      continue;
    }
    if (id !== latest) continue;
    d.wasm.refRemove(v.state, i);
    v.setStateField(L.State_irqId, previous);
    return;
  }
  v.reject(
    Errno.EACCES,
    `cannot restore irq state out of order, expected id=${latest} acquired at insn_idx=${insn}`,
  );
}
