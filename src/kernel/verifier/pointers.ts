// Pointer arithmetic: a pointer plus or minus a number (Linux: adjust_ptr_min_max_vals), and what protects it against
// speculation when the program may not know pointers.

import { Errno } from '../../bpf/errno.js';
import { AluOp, InsnClass } from '../../isa/opcodes.js';
import { checkMapAccess } from './access.js';
import { type Address, layout as L } from './domain.js';
import { pushPath } from './paths.js';
import { tnumText, typeName } from './print.js';
import { baseType, markUnknown, mayBeNull } from './registers.js';
import { Rejection, type Verifier } from './verifier.js';

/** BPF_MAX_VAR_OFF: no pointer may leave its object by more. */
const MAX_OFFSET = 1 << 29;
const STACK_SIZE = 512;

export const ALU_NAMES = [
  '+=',
  '-=',
  '*=',
  '/=',
  '|=',
  '&=',
  '<<=',
  '>>=',
  'neg',
  '%=',
  '^=',
  '=',
  's>>=',
  'endian',
];

/** Whether 64-bit field `field` is the smallest signed number. */
const isMinSigned = (v: Verifier, r: Address, field: number): boolean =>
  v.d.i32[(r + field) >> 2] === 0 && v.d.i32[(r + field + 4) >> 2] === -0x8000_0000;

function checkSaneOffset(v: Verifier, r: Address, type: number): void {
  const { d } = v;
  const name = typeName(type);
  if (d.isConst(r) && Math.abs(d.value(r)) >= MAX_OFFSET) {
    v.reject(
      Errno.EINVAL,
      `math between ${name} pointer and ${BigInt.asIntN(64, d.constant(r))} is not allowed`,
    );
  }
  if (Math.abs(d.off(r)) >= MAX_OFFSET) {
    v.reject(Errno.EINVAL, `${name} pointer offset ${d.off(r)} is not allowed`);
  }
  if (isMinSigned(v, r, L.Reg_smin)) {
    v.reject(
      Errno.EINVAL,
      `math between ${name} pointer and register with unbounded min value is not allowed`,
    );
  }
  if (Math.abs(d.smin(r)) >= MAX_OFFSET) {
    v.reject(Errno.EINVAL, `value ${d.big(r, L.Reg_smin)} makes ${name} pointer be out of bounds`);
  }
}

const PROHIBITED = 'pointer arithmetic with it prohibited for !root';

/** How a pointer's arithmetic is masked, by slot: the same on all paths, or the program is refused. */
export interface AluMask {
  state: number;
  limit: number;
}

export const AluState = { SRC: 1, DST: 2, NEGATIVE: 4, NON_POINTER: 8, IMMEDIATE: 16 } as const;

/** Records how slot `v.insn` is masked; false when another path wants it otherwise. */
export function agreeOnMask(v: Verifier, state: number, limit: number): boolean {
  const known = v.aluMasks.get(v.insn);
  if (known?.state && (known.state !== state || known.limit !== limit)) return false;
  v.aluMasks.set(v.insn, { state, limit });
  return true;
}

/** One pointer operation as the mask sees it, before (`window` undefined) and after the arithmetic. */
class Sanitation {
  readonly #v: Verifier;
  readonly #op: number;
  readonly #fromRegister: boolean;
  #maskToLeft = false;
  #first: AluMask = { state: 0, limit: 0 };

  constructor(v: Verifier, op: number, fromRegister: boolean) {
    this.#v = v;
    this.#op = op;
    this.#fromRegister = fromRegister;
  }

  #refuse(why: 'bounds' | 'type' | 'paths' | 'limit', offIsDst: boolean): never {
    const v = this.#v;
    const op = this.#op === AluOp.ADD ? 'add' : 'sub';
    const dst = v.dst[v.insn] as number;
    const src = v.src[v.insn] as number;
    switch (why) {
      case 'bounds':
        return v.reject(
          Errno.EACCES,
          `R${offIsDst ? dst : src} has unknown scalar with mixed signed bounds, ${PROHIBITED}`,
        );
      case 'type':
        return v.reject(
          Errno.EACCES,
          `R${offIsDst ? src : dst} has pointer with unsupported alu operation, ${PROHIBITED}`,
        );
      case 'paths':
        return v.reject(
          Errno.EACCES,
          `R${dst} tried to ${op} from different maps, paths or scalars, ${PROHIBITED}`,
        );
      default:
        return v.reject(Errno.EACCES, `R${dst} tried to ${op} beyond pointer bounds, ${PROHIBITED}`);
    }
  }

  /** How far the pointer may go in the direction of the arithmetic. */
  #limit(pointer: Address): number | 'type' | 'limit' {
    const { d } = this.#v;
    let max: number;
    let limit: number;
    if (d.type(pointer) === L.STACK) {
      max = STACK_SIZE + (this.#maskToLeft ? 1 : 0);
      limit = -(d.value(pointer) + d.off(pointer));
    } else if (d.type(pointer) === L.MAP_VALUE) {
      max = this.#v.mapOf(pointer).valueSize;
      limit = (this.#maskToLeft ? d.smin(pointer) : d.umax(pointer)) + d.off(pointer);
    } else {
      return 'type';
    }
    limit = Number(BigInt.asUintN(32, BigInt(limit)));
    return limit >= max ? 'limit' : limit;
  }

  /** `off` is added to (or taken from) `pointer`; `after`: that has been done. */
  check(pointer: Address, off: Address, dst: Address, after: boolean): void {
    const v = this.#v;
    const { d } = v;
    if (v.bypassSpecV1 || !this.#fromRegister) return;
    const offIsConst = d.isConst(off);
    const offIsNegative = d.smin(off) < 0;
    const pointerIsDst = pointer === dst;
    const offIsDst = off === dst;
    if (!v.speculative) {
      if (!after) {
        if (!offIsConst && d.smin(off) < 0 !== d.smax(off) < 0) this.#refuse('bounds', offIsDst);
        this.#maskToLeft = this.#op === AluOp.ADD ? offIsNegative : !offIsNegative;
      }
      const limit = this.#limit(pointer);
      if (typeof limit === 'string') this.#refuse(limit, offIsDst);
      if (after) {
        // Only what the arithmetic left is the window.
        const window = Math.abs(this.#first.limit - (limit as number));
        if (!agreeOnMask(v, this.#first.state, window)) this.#refuse('paths', offIsDst);
      } else {
        const state =
          (offIsNegative ? AluState.NEGATIVE : 0) |
          (offIsConst ? AluState.IMMEDIATE : 0) |
          (pointerIsDst ? AluState.SRC : AluState.DST);
        if (!offIsConst) v.exploreAluLimits = true;
        this.#first = { state, limit: limit as number };
      }
    }
    if (after || offIsConst) return;
    // Under speculation the mask may have cut the offset to 0: that path is looked at too.
    const saved = d.temporary[3];
    if (!pointerIsDst) {
      d.copyReg(saved, dst);
      d.copyReg(dst, pointer);
    }
    const jumps = v.waiting.length;
    try {
      pushPath(v, v.insn + 1, v.insn, true, Errno.EACCES);
    } catch (error) {
      if (error instanceof Rejection && v.waiting.length > jumps) {
        v.log.write(`R${v.dst[v.insn]} could not be pushed for speculative verification, ${PROHIBITED}\n`);
      }
      throw error;
    }
    if (!pointerIsDst) d.copyReg(dst, saved);
  }
}

/** Without CAP_PERFMON a pointer must stay inside its object even when it is not used. */
function checkResult(v: Verifier, r: Address): void {
  if (v.bypassSpecV1) return;
  const { d } = v;
  const dst = v.dst[v.insn];
  if (d.type(r) === L.STACK) {
    const off = d.off(r) + d.value(r);
    if (!d.isConst(r)) {
      const text = tnumText(d.big(r, L.Reg_value), d.big(r, L.Reg_mask));
      v.reject(
        Errno.EACCES,
        `R${dst} variable stack access prohibited for !root, var_off=${text} off=${Number(BigInt.asIntN(32, BigInt(off)))}`,
      );
    }
    if (off >= 0 || off < -STACK_SIZE) {
      v.reject(
        Errno.EACCES,
        `R${dst} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}`,
      );
    }
  } else if (d.type(r) === L.MAP_VALUE) {
    try {
      checkMapAccess(v, dst as number, d.off(r), 1, false, 'helper');
    } catch (error) {
      if (error instanceof Rejection) {
        v.log.write(`R${dst} pointer arithmetic of map value goes out of range, prohibited for !root\n`);
        throw new Rejection(Errno.EACCES);
      }
      throw error;
    }
  }
}

/** dst = pointer op off. `off` is no register of the current frame, or the source; `pointer` may be dst. */
export function pointerArithmetic(v: Verifier, pointer: Address, off: Address): void {
  const { d } = v;
  const slot = v.insn;
  const number = v.dst[slot] as number;
  const dst = v.reg(number);
  const code = v.code[slot] as number;
  const op = code & 0xf0;
  const known = d.isConst(off);
  if (
    (known &&
      (d.big(off, L.Reg_smin) !== d.big(off, L.Reg_smax) ||
        d.big(off, L.Reg_umin) !== d.big(off, L.Reg_umax))) ||
    d.smin(off) > d.smax(off) ||
    d.umin(off) > d.umax(off)
  ) {
    // Bounds that contradict each other: dead code.
    markUnknown(v, dst);
    return;
  }
  if ((code & 7) !== InsnClass.ALU64) {
    if (op === AluOp.SUB && v.allowPointerLeaks) {
      markUnknown(v, dst);
      return;
    }
    v.reject(Errno.EACCES, `R${number} 32-bit pointer arithmetic prohibited`);
  }
  const type = d.type(pointer);
  if (mayBeNull(type)) {
    v.reject(
      Errno.EACCES,
      `R${number} pointer arithmetic on ${typeName(type)} prohibited, null-check it first`,
    );
  }
  checkKind(v, number, type, known, known && d.isZero(off) && op === AluOp.ADD);
  const subtracting = dst !== pointer;
  if (dst !== pointer) {
    // `off` may be dst itself, and is overwritten here: the caller hands over a copy. Linux 6.18 takes over what the pointer
    // points to and leaves as it was whose stack that is and what was acquired; so does this.
    const [frameno, reference] = [d.frameno(dst), d.refObjId(dst)];
    d.copyReg(dst, pointer);
    d.setFrameno(dst, frameno);
    d.setRefObjId(dst, reference);
  }
  checkSaneOffset(v, off, type);
  checkSaneOffset(v, pointer, type);
  const sanitation = new Sanitation(v, op, (code & 8) !== 0);
  const sanitize = op === AluOp.ADD || op === AluOp.SUB;
  if (sanitize) sanitation.check(pointer, off, dst, false);
  d.i32[(dst + L.Reg_s32min) >> 2] = -0x8000_0000;
  d.i32[(dst + L.Reg_s32max) >> 2] = 0x7fff_ffff;
  d.i32[(dst + L.Reg_u32min) >> 2] = 0;
  d.i32[(dst + L.Reg_u32max) >> 2] = -1;
  const packet = baseType(type) === L.PACKET || baseType(type) === L.PACKET_META;
  const clearObject = () => {
    for (const i of [0, 1, 2, 3] as const) d.setObject(dst, i, 0);
  };
  switch (op) {
    case AluOp.ADD: {
      const sum = d.off(pointer) + d.smin(off);
      if (known && sum === (sum | 0)) {
        // A constant goes into the fixed part; what else is known stays.
        d.setOff(dst, sum);
        break;
      }
      d.wasm.pointerAdd(dst, pointer, off);
      if (packet) {
        d.setId(dst, v.newId());
        clearObject();
      }
      break;
    }
    case AluOp.SUB: {
      if (subtracting) v.reject(Errno.EACCES, `R${number} tried to subtract pointer from scalar`);
      if (type === L.STACK) v.reject(Errno.EACCES, `R${number} subtraction from stack pointer prohibited`);
      const difference = d.off(pointer) - d.smin(off);
      if (known && difference === (difference | 0)) {
        d.setOff(dst, difference);
        break;
      }
      d.wasm.pointerSub(dst, pointer, off);
      if (packet) {
        d.setId(dst, v.newId());
        if (d.smin(off) < 0) clearObject();
      }
      break;
    }
    default: {
      const bitwise = op === AluOp.AND || op === AluOp.OR || op === AluOp.XOR;
      const name = ALU_NAMES[op >> 4];
      v.reject(
        Errno.EACCES,
        bitwise
          ? `R${number} bitwise operator ${name} on pointer prohibited`
          : `R${number} pointer arithmetic with ${name} operator prohibited`,
      );
    }
  }
  checkSaneOffset(v, dst, type);
  d.wasm.regSync(dst);
  checkResult(v, dst);
  if (sanitize) sanitation.check(dst, off, dst, true);
}

/** Whether a pointer of this type may be moved. `plusZero`: by adding 0. */
function checkKind(v: Verifier, number: number, type: number, known: boolean, plusZero: boolean): void {
  switch (baseType(type)) {
    case L.CTX:
    case L.MAP_VALUE:
    case L.MAP_KEY:
    case L.STACK:
    case L.PACKET_META:
    case L.PACKET:
    case L.TP_BUFFER:
    case L.BTF_ID:
    case L.MEM:
    case L.BUF:
    case L.FUNC:
    case L.DYNPTR:
      return;
    case L.FLOW_KEYS:
      if (known) return;
      break;
    default:
  }
  if ((baseType(type) === L.MAP_PTR || baseType(type) === L.FLOW_KEYS) && plusZero) return;
  v.reject(Errno.EACCES, `R${number} pointer arithmetic on ${typeName(type)} prohibited`);
}
