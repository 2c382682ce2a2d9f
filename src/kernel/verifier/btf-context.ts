// Contexts whose slots are the parameters of a kernel function, typed by BTF (Linux: btf_ctx_access). Slot by slot:
// a number, a buffer, or a pointer to a structure that is trusted where the caller vouches for it.

import { AttachType, ProgType } from '../../bpf/types.js';
import type { Btf, BtfFuncProto, BtfType } from '../../btf/index.js';
import type { MemoryAccess } from './access.js';
import { type AttachTarget, hookRange } from './attach.js';
import { isComposite, nameOf, tagFlags } from './btf-walk.js';
import { refuseContext } from './context.js';
import { type Address, layout as L } from './domain.js';
import { kernelStruct } from './kernel-types.js';
import { markPointer, markUnknown } from './registers.js';
import { untrustedLsmHooks } from './tables/hooks.js';
import { structOps } from './tables/struct-ops.js';
import { tracepointArgument } from './tables/tracepoints.js';
import type { ContextPointer } from './tables/types.js';
import type { Verifier } from './verifier.js';

/** MAX_BPF_FUNC_ARGS. */
const MAX_ARGUMENTS = 12;
/** Bytes of a slot. */
const SLOT = 8;

/** What a slot holds. */
interface Slot {
  /** Register type; `L.SCALAR` for a number. */
  readonly type: number;
  readonly btf?: Btf;
  readonly id?: number;
  /** What the function returned, for LSM programs. */
  readonly result?: boolean;
}

const NUMBER: Slot = { type: L.SCALAR };

export function checkArgument(v: Verifier, access: MemoryAccess, off: number): void {
  const { size, value } = access;
  const lsm = v.program.type === ProgType.Lsm;
  const inside = off >= 0 && off < SLOT * MAX_ARGUMENTS && (lsm || off % size === 0);
  const slot = inside && access.type === 'read' ? slotAt(v, off, size) : undefined;
  if (!slot) refuseContext(v, off, size);
  if (value < 0) return;
  const r = v.reg(value);
  if (slot.type === L.SCALAR) {
    const range = slot.result ? hookRange(v) : undefined;
    if (range) markRange(v, r, range);
    else markUnknown(v, r);
    return;
  }
  markPointer(v, r, slot.type);
  if (slot.type & L.MAYBE_NULL) v.d.setId(r, v.newId());
  if ((slot.type & L.BASE_TYPE) !== L.BTF_ID) return;
  v.d.setObject(r, 0, v.btfNumber(slot.btf as Btf));
  v.d.setObject(r, 1, slot.id ?? 0);
}

function markRange(v: Verifier, r: Address, [min, max]: readonly [number, number]): void {
  const { d } = v;
  markUnknown(v, r);
  d.setBig(r, L.Reg_smin, BigInt(min));
  d.setBig(r, L.Reg_smax, BigInt(max));
  d.set(r, L.Reg_s32min, min);
  d.set(r, L.Reg_s32max, max);
  d.wasm.regSync(r);
}

const isInteger = (type: BtfType): boolean =>
  type.kind === 'INT' && (type.size === 1 || type.size === 2 || type.size === 4 || type.size === 8);
const isNumber = (type: BtfType): boolean =>
  isInteger(type) || type.kind === 'ENUM' || type.kind === 'ENUM64' || type.kind === 'STRUCT';

/** Which parameter lies at an offset; one more than the last is the return value. */
function indexAt(btf: Btf, proto: BtfFuncProto, off: number): number {
  let end = 0;
  const types = [...proto.params.map(({ type }) => type), proto.returnType];
  for (const [i, id] of types.entries()) {
    const type = btf.type(btf.skipModifiers(id));
    const size = 'size' in type ? type.size : 0;
    end += type.kind === 'PTR' ? SLOT : Math.ceil(size / SLOT) * SLOT;
    if (off < end) return i;
  }
  return types.length;
}

function slotAt(v: Verifier, off: number, size: number): Slot | undefined {
  const target = v.attach;
  if (!target) return undefined;
  const { btf, name, proto } = target;
  const say = (message: string): undefined => void v.log.write(`func '${name}' ${message}\n`);
  if (off % SLOT) return say(`offset ${off} is not multiple of 8`);
  const index = indexAt(btf, proto, off);
  // The first parameter of a tracepoint's function is its own.
  const params = target.tracepoint ? proto.params.slice(1) : proto.params;
  let id: number;
  let result = false;
  if (index < params.length) {
    id = params[index]?.type ?? 0;
  } else if (index === params.length && returnsSlot(v)) {
    id = proto.returnType;
    result = v.program.expectedAttachType === AttachType.LsmMac;
    const type = btf.type(btf.skipModifiers(id));
    if (v.program.expectedAttachType === AttachType.ModifyReturn && !isInteger(type)) {
      v.log.write(`ret type ${kindText(type)} not allowed for fmod_ret\n`);
      return undefined;
    }
  } else {
    return say(`doesn't have ${index + 1}-th argument`);
  }
  const type = btf.type(btf.skipModifiers(id));
  if (isNumber(type)) return result ? { ...NUMBER, result } : NUMBER;
  if (type.kind !== 'PTR') {
    return say(
      `arg${index} '${nameOf(btf, type.id)}' has type ${kindText(type)}. Only pointer access is allowed`,
    );
  }
  if (size !== SLOT) return say(`size ${size} must be 8`);
  const known = target.slots?.[index];
  if (known?.kind === 'buffer' && known.nullable) return pointerOf(v, known);
  const to = btf.type(btf.skipModifiers(type.type));
  if (to.kind === 'VOID' || to.kind === 'INT') return NUMBER;
  if (known) return pointerOf(v, known);
  return structureAt(v, target, index, type.type, params[index]?.name ?? '');
}

const kindText = (type: BtfType): string => (type.kind === 'VOID' ? 'UNKNOWN' : type.kind);

/** The slot behind the last parameter holds the result. */
function returnsSlot(v: Verifier): boolean {
  const { expectedAttachType: attach } = v.program;
  const { LsmMac, LsmCgroup, TraceFexit, ModifyReturn } = AttachType;
  switch (v.program.type) {
    case ProgType.Lsm:
      return attach === LsmMac || attach === LsmCgroup;
    case ProgType.Tracing:
      return attach === TraceFexit || attach === ModifyReturn;
    default:
      return false;
  }
}

/** A slot that the kernel describes beside BTF. */
function pointerOf(v: Verifier, pointer: ContextPointer): Slot {
  let type = pointer.kind === 'buffer' ? L.BUF : L.BTF_ID;
  if (pointer.nullable) type |= L.MAYBE_NULL;
  if (pointer.readOnly) type |= L.RDONLY;
  if (pointer.trusted) type |= L.TRUSTED;
  return pointer.btf === undefined ? { type } : { type, ...kernelStruct(v, pointer.btf) };
}

/** A pointer to what must be a structure. */
function structureAt(
  v: Verifier,
  target: AttachTarget,
  index: number,
  pointed: number,
  parameter: string,
): Slot | undefined {
  const { btf, name } = target;
  let type: number = L.BTF_ID;
  if (argumentsTrusted(v, target)) type |= L.TRUSTED;
  if (parameter.endsWith('__nullable')) type |= L.MAYBE_NULL;
  const special = target.tracepoint ? tracepointArgument(name, index) : undefined;
  // A module's tracepoints are not known one by one.
  if (special === 'nullable' || (target.tracepoint && btf.base)) type |= L.MAYBE_NULL;
  type |= tagFlags(btf, pointed) & (L.USER | L.PERCPU);
  const id = btf.skipModifiers(pointed);
  const struct = btf.type(id);
  if (!isComposite(struct)) {
    v.log.write(`func '${name}' arg${index} type ${kindText(struct)} is not a struct\n`);
    return undefined;
  }
  v.log.write(`func '${name}' arg${index} has btf_id ${id} type ${kindText(struct)} '${nameOf(btf, id)}'\n`);
  if (special === 'number') {
    v.log.write(`marking pointer arg${index} as scalar as it may encode error`);
    return NUMBER;
  }
  const larger = target.struct && structOps[target.struct]?.arguments?.[struct.name];
  if (larger && (type & ~L.BASE_TYPE & ~L.TRUSTED) === 0) return { type, ...kernelStruct(v, larger) };
  return { type, btf, id };
}

function argumentsTrusted(v: Verifier, { name }: AttachTarget): boolean {
  const { type, expectedAttachType: attach } = v.program;
  switch (type) {
    case ProgType.Tracing:
      return attach === AttachType.TraceRawTp || attach === AttachType.TraceIter;
    case ProgType.Lsm:
      return !untrustedLsmHooks.has(name.replace(/^bpf_lsm_/, ''));
    default:
      return type === ProgType.StructOps;
  }
}
