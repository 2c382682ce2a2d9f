// ld_imm64 in all its meanings, and the old loads from packets.

import { Errno } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import { Mode, PseudoSource } from '../../isa/opcodes.js';
import { checkUnmoved } from './access.js';
import { layout as L } from './domain.js';
import { callTarget } from './functions.js';
import { pushPath } from './paths.js';
import { checkResources } from './references.js';
import { clearCallerSaved, markPointer, markUnknown, readReg, writeReg } from './registers.js';
import { leaveFunction } from './subprogram-calls.js';
import type { Verifier } from './verifier.js';

export function checkLoadImm64(v: Verifier): void {
  const { d } = v;
  const slot = v.insn;
  const source = v.src[slot] as number;
  const imm = v.imm[slot] as number;
  if (((v.code[slot] as number) & 0x18) !== 0x18) v.reject(Errno.EINVAL, 'invalid BPF_LD_IMM insn');
  if (v.off[slot]) v.reject(Errno.EINVAL, 'BPF_LD_IMM64 uses reserved fields');
  const r = writeReg(v, v.dst[slot] as number, true);
  if (source === PseudoSource.NONE) {
    d.knownPair(r, imm, v.imm[slot + 1] as number);
    return;
  }
  if (source === PseudoSource.BTF_ID) {
    v.setKernelVariable(r, slot);
    return;
  }
  markPointer(v, r, L.FUNC);
  if (source === PseudoSource.FUNC) {
    const number = v.subprogAt(callTarget(v, slot));
    const subprog = v.subprogs[number];
    if (!subprog?.funcId) v.reject(Errno.EINVAL, 'missing btf func_info');
    if (subprog.global) v.reject(Errno.EINVAL, 'callback function not static');
    if (number === 0) v.reject(Errno.EINVAL, 'callback function cannot be the main program');
    d.setObject(r, 0, number);
    return;
  }
  const map = v.mapUse.get(slot)?.map;
  if (!map) v.bug(`no map at insn ${slot}`);
  d.setObject(r, 0, v.mapNumber(map));
  if (source === PseudoSource.MAP_VALUE || source === PseudoSource.MAP_IDX_VALUE) {
    if (map.type === MapType.Arena) {
      markUnknown(v, r);
      return;
    }
    d.setType(r, L.MAP_VALUE);
    d.setOff(r, v.imm[slot + 1] as number);
    return;
  }
  d.setType(r, L.MAP_PTR);
}

/** LD_ABS and LD_IND: r6 is the packet's context; what lies outside ends the program with 0. False: the function was left. */
export function checkPacketLoad(v: Verifier): boolean {
  const { d } = v;
  const slot = v.insn;
  const code = v.code[slot] as number;
  const indirect = (code & 0xe0) === Mode.IND;
  if (!v.rules.packetLoads) {
    v.reject(Errno.EINVAL, 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
  }
  for (let i = v.frameNumber; i > 0; i--) {
    if (d.get(v.frameAt(i), L.Frame_inCallback)) {
      v.reject(Errno.EINVAL, 'cannot use BPF_LD_[ABS|IND] within callback');
    }
  }
  if (v.dst[slot] || v.off[slot] || (code & 0x18) === 0x18 || (!indirect && v.src[slot])) {
    v.reject(Errno.EINVAL, 'BPF_LD_[ABS|IND] uses reserved fields');
  }
  const context = readReg(v, 6);
  checkResources(v, false, true, 'BPF_LD_[ABS|IND]');
  if (d.type(context) !== L.CTX) {
    v.reject(Errno.EINVAL, 'at the time of BPF_LD_ABS|IND R6 != pointer to skb');
  }
  if (indirect) readReg(v, v.src[slot] as number);
  checkUnmoved(v, 6, false);
  clearCallerSaved(v);
  markUnknown(v, v.reg(0));
  if (!v.frameNumber) return true;
  // In a function the failing load returns from it with 0.
  v.scratchReg(0);
  pushPath(v, slot + 1, slot, false);
  d.known(v.reg(0), 0);
  leaveFunction(v);
  return false;
}
