// Atomic operations (Linux: check_atomic): read-modify-write, and loads and stores with an order.

import { Errno } from '../../bpf/errno.js';
import { AtomicOp } from '../../isa/opcodes.js';
import { checkAccess, checkLoad, checkStore, isSocket, savePointerType, sizeOf } from './access.js';
import { layout as L } from './domain.js';
import { typeName } from './print.js';
import { baseType, isPointerValue, readReg, writeReg } from './registers.js';
import type { Verifier } from './verifier.js';

export function checkAtomic(v: Verifier): void {
  const slot = v.insn;
  const imm = v.imm[slot] as number;
  const code = v.code[slot] as number;
  const dst = v.dst[slot] as number;
  const src = v.src[slot] as number;
  if (imm === AtomicOp.LOAD_ACQ || imm === AtomicOp.STORE_REL) {
    const load = imm === AtomicOp.LOAD_ACQ;
    const pointer = load ? src : dst;
    if (load) checkLoad(v, false, true);
    else checkStore(v, true);
    // Linux asks last: what was loaded into its own pointer is a number by then.
    if (!atomicAllowed(v, pointer)) {
      v.reject(
        Errno.EACCES,
        `BPF_ATOMIC ${load ? 'loads from' : 'stores into'} R${pointer} ${typeName(v.d.type(v.reg(pointer)))} is not allowed`,
      );
    }
    return;
  }
  const plain = imm & ~AtomicOp.FETCH;
  const known =
    imm === AtomicOp.XCHG ||
    imm === AtomicOp.CMPXCHG ||
    plain === AtomicOp.ADD ||
    plain === AtomicOp.AND ||
    plain === AtomicOp.OR ||
    plain === AtomicOp.XOR;
  if (!known) {
    v.reject(
      Errno.EINVAL,
      `BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, '0')}`,
    );
  }
  const size = sizeOf(code);
  if (size < 4) v.reject(Errno.EINVAL, 'invalid atomic operand size');
  readReg(v, src);
  readReg(v, dst);
  if (imm === AtomicOp.CMPXCHG) {
    readReg(v, 0);
    if (isPointerValue(v, v.reg(0))) v.reject(Errno.EACCES, 'R0 leaks addr into mem');
  }
  if (isPointerValue(v, v.reg(src))) v.reject(Errno.EACCES, `R${src} leaks addr into mem`);
  if (!atomicAllowed(v, dst)) {
    v.reject(Errno.EACCES, `BPF_ATOMIC stores into R${dst} ${typeName(v.d.type(v.reg(dst)))} is not allowed`);
  }
  const loaded = imm & AtomicOp.FETCH ? (imm === AtomicOp.CMPXCHG ? 0 : src) : -1;
  const access = { pointer: dst, off: v.off[slot] as number, size, strictAlignment: true } as const;
  const type = v.d.type(v.reg(dst));
  if (loaded >= 0) writeReg(v, loaded, true);
  checkAccess(v, { ...access, type: 'read', value: -1 });
  if (loaded >= 0) checkAccess(v, { ...access, type: 'read', value: loaded });
  savePointerType(v, type);
  checkAccess(v, { ...access, type: 'write', value: -1 });
}

function atomicAllowed(v: Verifier, number: number): boolean {
  const type = v.d.type(v.reg(number));
  switch (baseType(type)) {
    case L.CTX:
    case L.PACKET:
    case L.PACKET_META:
    case L.FLOW_KEYS:
      return false;
    default:
      return !isSocket(type);
  }
}
