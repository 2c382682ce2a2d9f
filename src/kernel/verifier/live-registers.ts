// Which registers may still be read, before each instruction: the classic backward data flow over a function. States
// forget what nobody reads (Linux: compute_live_registers).

import { AtomicOp, CallSource, InsnClass, JumpOp, Mode } from '../../isa/opcodes.js';
import { successors } from './cfg.js';
import { isLdImm64 } from './functions.js';
import { kfuncAt } from './kfuncs.js';
import { mayCall } from './tables/helper-availability.js';
import { signatureFor } from './tables/helper-signatures.js';
import type { Verifier } from './verifier.js';

const R0 = 1;
const ARGUMENTS = 0b111110;
const CALLER_SAVED = R0 | ARGUMENTS;
const EVERYTHING = 0xffff;

/** Registers read, and written, by slot `i`: reads in the low half, writes in the high half. */
function usesAndDefs(v: Verifier, i: number): number {
  const code = v.code[i] as number;
  const dst = 1 << (v.dst[i] as number);
  const src = 1 << (v.src[i] as number);
  const imm = v.imm[i] as number;
  const pair = (use: number, def: number) => (use & 0xffff) | (def << 16);
  switch (code & 7) {
    case InsnClass.LD:
      return (code & 0xe0) === Mode.IMM ? pair(0, dst) : pair(EVERYTHING, 0);
    case InsnClass.LDX:
      return pair(src, dst);
    case InsnClass.ST:
      return pair(dst, 0);
    case InsnClass.STX:
      if ((code & 0xe0) !== Mode.ATOMIC || imm === AtomicOp.STORE_REL) return pair(dst | src, 0);
      if (imm === AtomicOp.CMPXCHG) return pair(R0 | dst | src, R0);
      if (imm === AtomicOp.LOAD_ACQ) return pair(src, dst);
      return pair(dst | src, imm & AtomicOp.FETCH ? src : 0);
    case InsnClass.ALU:
    case InsnClass.ALU64: {
      const op = code & 0xf0;
      const register = code & 8 ? src : 0;
      if (op === 0xb0) return pair(register, dst);
      if (op === 0xd0) return pair(dst, dst);
      return pair(dst | register, dst);
    }
    default: {
      const op = code & 0xf0;
      if (op === JumpOp.JA || op === JumpOp.JCOND) return 0;
      if (op === JumpOp.EXIT) return pair(R0, 0);
      if (op !== JumpOp.CALL) return pair(code & 8 ? dst | src : dst, 0);
      const count = parameters(v, i, imm);
      return pair(count === undefined ? ARGUMENTS : ((1 << count) - 1) << 1, CALLER_SAVED);
    }
  }
}

/** How many arguments a helper or kfunc reads; undefined for functions of the program. */
export function parameters(v: Verifier, i: number, imm: number): number | undefined {
  if (v.src[i] === CallSource.HELPER) {
    const signature = mayCall(v.program.type, imm, v.helperContext)
      ? signatureFor(imm, v.program.type, v.program.expectedAttachType)
      : undefined;
    return signature && v.environment.lacking?.helpers?.includes(signature.name)
      ? undefined
      : signature?.args.length;
  }
  if (v.src[i] === CallSource.KFUNC) return kfuncAt(v, i)?.parameters.length;
  return undefined;
}

export function findLiveRegisters(v: Verifier): void {
  const facts = new Int32Array(v.length);
  for (let i = 0; i < v.length; i++) facts[i] = usesAndDefs(v, i);
  const out: number[] = [];
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = v.length - 1; i >= 0; i--) {
      let live = 0;
      for (const next of successors(v, i, out)) live |= v.liveRegs[next] ?? 0;
      const fact = facts[i] as number;
      const before = (live & ~(fact >>> 16)) | (fact & 0xffff);
      if (before === v.liveRegs[i]) continue;
      v.liveRegs[i] = before;
      changed = true;
    }
  }
  if (v.log.verbose) show(v);
}

/** A line for each instruction: its component, when it is in a loop, and the registers that are live before it. */
function show(v: Verifier): void {
  v.log.write('Live regs before insn:\n');
  for (let i = 0; i < v.length; i += isLdImm64(v, i) ? 2 : 1) {
    const component = v.component[i] ? String(v.component[i]).padStart(3) : '   ';
    let live = '';
    for (let r = 0; r < 10; r++) live += (v.liveRegs[i] as number) & (1 << r) ? r : '.';
    v.log.write(`${component} ${String(i).padStart(3)}: ${live} ${v.textOf(i)}\n`);
  }
}
