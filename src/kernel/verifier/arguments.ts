// Arguments of helpers: each register against what the signature asks for.

import { Errno } from '../../bpf/errno.js';
import { MapFlag, MapType } from '../../bpf/types.js';
import {
  type AccessSource,
  checkAccess,
  checkAlignment,
  checkBufferAccess,
  checkMapAccess,
  checkMapType,
  checkPacketAccess,
  checkRegion,
  checkUnmoved,
} from './access.js';
import { matchesBtf, readBtf } from './btf-access.js';
import { type Address, layout as L } from './domain.js';
import { checkDynptrArgument, checkDynptrRelease } from './dynptr.js';
import { checkKptrDestination } from './kptr.js';
import { checkSpinLock } from './locks.js';
import { markPrecise, walkBack } from './precision.js';
import { typeName } from './print.js';
import type { VerifierMap } from './program.js';
import type { SpecialField } from './record.js';
import { baseType, isNull, isPointerValue, mayBeNull, readReg } from './registers.js';
import { type AccessType, checkStackInitialised, isSpilled, type RawMemory, slotOf } from './stack.js';
import { argumentRegisters } from './tables/argument-registers.js';
import type { HelperArg, HelperSignature } from './tables/types.js';
import { checkTimer } from './timers.js';
import type { Verifier } from './verifier.js';

/** BPF_MAX_VAR_SIZ: no helper takes more at once. */
const MAX_SIZE = 1 << 29;

/** What the arguments of a call said together. */
export interface CallFacts {
  readonly signature: HelperSignature;
  map?: VerifierMap;
  mapUid: number;
  /** Stack memory that the helper fills. */
  readonly raw: RawMemory;
  /** Largest size that was passed. */
  maxSize: number;
  /** Size of memory that is asked for. */
  allocSize: number;
  /** Register whose reference is given back; 0 for none. */
  release: number;
  refObjId: number;
  callback?: number;
  /** The constant key of an array lookup; -1 when it is none. */
  key: number;
  kptr?: SpecialField;
  /** A per-CPU variable, or (`local`) a per-CPU object that the program allocated. */
  btf?: { readonly number: number; readonly id: number; readonly local: boolean };
  dynptrId: number;
}

export const newFacts = (signature: HelperSignature): CallFacts => ({
  signature,
  mapUid: 0,
  raw: { register: -1, size: 0 },
  maxSize: 0,
  allocSize: 0,
  release: 0,
  refObjId: 0,
  key: -1,
  dynptrId: 0,
});

export const helperName = ({ name, id }: { name: string; id: number }): string => `bpf_${name}#${id}`;

/** Packet pointers may be handed to this helper. */
function packetAllowed(v: Verifier, facts: CallFacts): boolean {
  const { packet, packetToHelpers } = v.rules;
  if (!packet || packetToHelpers === 'none') return false;
  return packetToHelpers === 'any' || facts.signature.packetAccess === true;
}

/** Argument `i` (from 0), in register i + 1. */
export function checkArgument(v: Verifier, facts: CallFacts, i: number): void {
  const { d } = v;
  const number = i + 1;
  const arg = facts.signature.args[i] as HelperArg;
  const r = readReg(v, number);
  if (arg.kind === 'anything') {
    if (isPointerValue(v, r)) v.reject(Errno.EACCES, `R${number} leaks addr into helper function`);
    return;
  }
  const type = d.type(r);
  if ((baseType(type) === L.PACKET || baseType(type) === L.PACKET_META) && !packetAllowed(v, facts)) {
    v.reject(Errno.EACCES, 'helper access to the packet is not allowed');
  }
  const resolved = resolveMapValue(v, facts, arg);
  const null_ = isNull(v, r) && resolved.nullable === true;
  if (!null_) {
    checkType(v, facts, number, resolved);
    checkOffset(v, number, resolved);
  }
  if (resolved.release) {
    if (resolved.kind === 'dynptr') checkDynptrRelease(v, number);
    else if (!d.refObjId(r) && !isNull(v, r)) {
      v.reject(Errno.EINVAL, `R${number} must be referenced when passed to release function`);
    }
    facts.release = number;
  }
  if (d.refObjId(r) && resolved.kind !== 'kptr-xchg-dest') {
    if (facts.refObjId) {
      v.log.write(`more than one arg with ref_obj_id R${number} ${d.refObjId(r)} ${facts.refObjId}`);
      v.reject(Errno.EACCES);
    }
    facts.refObjId = d.refObjId(r);
  }
  if (null_ && resolved.kind === 'map-value') return;
  checkMeaning(v, facts, number, resolved);
}

/** A map value argument of a sockmap is a socket; of a Bloom filter's peek a key that is looked for. */
function resolveMapValue(v: Verifier, facts: CallFacts, arg: HelperArg): HelperArg {
  if (arg.kind !== 'map-value') return arg;
  const map = facts.map;
  if (!map) return v.reject(Errno.EACCES, 'invalid map_ptr to access map->type');
  if (map.type === MapType.Sockmap || map.type === MapType.Sockhash) {
    if (arg.uninit || arg.write || arg.nullable) {
      v.reject(Errno.EINVAL, 'invalid arg_type for sockmap/sockhash');
    }
    return { kind: 'btf-id-sock-common', btf: 'sock_common' };
  }
  if (map.type === MapType.BloomFilter && facts.signature.name === 'map_peek_elem')
    return { kind: 'map-value' };
  return arg;
}

const typesByName = new Map<string, number>();
/** Register types that an argument kind takes, as numbers, in the order of the message. */
const compatible = new Map<string, readonly number[]>();

function compatibleTypes(kind: Exclude<HelperArg['kind'], 'anything'>): readonly number[] {
  let types = compatible.get(kind);
  if (types) return types;
  if (typesByName.size === 0) {
    const flags = [0, L.RINGBUF, L.TRUSTED, L.RCU, L.PERCPU, L.PERCPU | L.RCU, L.PERCPU | L.TRUSTED];
    for (const flag of flags) {
      for (let base = 0; base <= L.DYNPTR; base++) typesByName.set(typeName(base | flag), base | flag);
    }
  }
  types = argumentRegisters[kind].map((name) => {
    const type = typesByName.get(name) ?? 0;
    // An allocated object has no word of its own in the log.
    return (kind === 'spin-lock' || kind === 'kptr-xchg-dest') && type === L.BTF_ID
      ? L.BTF_ID | L.ALLOC
      : type;
  });
  compatible.set(kind, types);
  return types;
}

const DYNPTR_FLAGS = L.DYNPTR_LOCAL | L.DYNPTR_RINGBUF | L.DYNPTR_SKB | L.DYNPTR_XDP | L.DYNPTR_SKB_META;

const isMemory = ({ kind }: HelperArg): boolean => kind === 'mem' || kind === 'fixed-mem';

/** The register is of a type that the argument takes (check_reg_type). */
export function checkType(v: Verifier, facts: CallFacts, number: number, arg: HelperArg): void {
  const { d } = v;
  const r = v.reg(number);
  const original = d.type(r);
  const kinds = compatibleTypes(arg.kind as Exclude<HelperArg['kind'], 'anything'>);
  let type = original;
  if (arg.readOnly) type &= ~L.RDONLY;
  if (arg.nullable) type &= ~L.MAYBE_NULL;
  if (isMemory(arg)) type &= ~DYNPTR_FLAGS;
  if (facts.signature.name === 'kptr_xchg' && number === 2) type &= ~(L.ALLOC | L.PERCPU);
  if (!kinds.includes(type)) {
    v.reject(
      Errno.EACCES,
      `R${number} type=${typeName(original)} expected=${kinds.map(typeName).join(', ')}`,
    );
  }
  if (baseType(original) !== L.BTF_ID) return;
  if (isMemory(arg) || arg.kind === 'map-key' || arg.kind === 'map-value') {
    if (!arg.readOnly) {
      v.reject(
        Errno.EACCES,
        `${helperName(facts.signature).replace(/#.*/, '')}() may write into memory pointed by R${number} type=${typeName(original)}`,
      );
    }
    return;
  }
  matchesBtf(v, facts, number, arg);
}

/** How far the pointer may have been moved. */
export function checkOffset(v: Verifier, number: number, arg: HelperArg): void {
  const { d } = v;
  const r = v.reg(number);
  const type = d.type(r);
  if (arg.release) {
    if (arg.kind === 'dynptr' && type === L.STACK) return;
    if (d.off(r)) {
      v.reject(
        Errno.EINVAL,
        `R${number} must have zero offset when passed to release func or trusted arg to kfunc`,
      );
    }
    checkUnmoved(v, number, false);
    return;
  }
  switch (type) {
    case L.STACK:
    case L.PACKET:
    case L.PACKET_META:
    case L.MAP_KEY:
    case L.MAP_VALUE:
    case L.MEM:
    case L.MEM | L.RDONLY:
    case L.MEM | L.RINGBUF:
    case L.BUF:
    case L.BUF | L.RDONLY:
    case L.ARENA:
    case L.SCALAR:
      return;
    case L.BTF_ID:
    case L.BTF_ID | L.ALLOC:
    case L.BTF_ID | L.TRUSTED:
    case L.BTF_ID | L.RCU:
    case L.BTF_ID | L.ALLOC | L.NON_OWN_REF:
    case L.BTF_ID | L.ALLOC | L.NON_OWN_REF | L.RCU:
      checkUnmoved(v, number, true);
      return;
    default:
      checkUnmoved(v, number, false);
  }
}

function checkMeaning(v: Verifier, facts: CallFacts, number: number, arg: HelperArg): void {
  const { d } = v;
  const r = v.reg(number);
  const access: AccessType = arg.write ? 'write' : 'read';
  switch (arg.kind) {
    case 'const-map-ptr': {
      const map = v.mapOf(r);
      const uid = d.object(r, 1);
      if (facts.map && (facts.map !== map || facts.mapUid !== uid)) {
        v.reject(
          Errno.EINVAL,
          `timer pointer in R1 map_uid=${facts.mapUid} doesn't match map pointer in R2 map_uid=${uid}`,
        );
      }
      facts.map = map;
      facts.mapUid = uid;
      return;
    }
    case 'map-key': {
      const map = facts.map;
      if (!map) v.reject(Errno.EACCES, 'invalid map_ptr to access map->key');
      checkMemory(v, number, map.keySize, 'read', false);
      if (map.type === MapType.Array || map.type === MapType.PercpuArray) {
        facts.key = constantKey(v, number, map.keySize);
      }
      return;
    }
    case 'map-value':
      if (!facts.map) v.reject(Errno.EACCES, 'invalid map_ptr to access map->value');
      checkMemory(v, number, facts.map.valueSize, access, false, arg.uninit ? facts.raw : undefined);
      return;
    case 'percpu-btf-id':
      if (!d.object(r, 1)) v.reject(Errno.EACCES, `Helper has invalid btf_id in R${number}`);
      facts.btf = { number: d.object(r, 0), id: d.object(r, 1), local: (d.type(r) & L.RCU) !== 0 };
      return;
    case 'spin-lock':
      checkSpinLock(v, number, facts.signature.name === 'spin_lock');
      return;
    case 'timer':
      checkTimer(v, facts, number);
      return;
    case 'func':
      facts.callback = d.object(r, 0);
      return;
    case 'fixed-mem': {
      const size = arg.size ?? 0;
      if (isNull(v, r)) return;
      checkMemory(v, number, size, access, false, arg.uninit ? facts.raw : undefined);
      if (arg.aligned && d.wasm.misaligned(r, d.off(r), size)) checkAlignment(v, number, 0, size, true);
      return;
    }
    case 'const-size':
    case 'const-size-or-zero':
      checkSize(v, facts, number, arg.kind === 'const-size-or-zero');
      return;
    case 'dynptr':
      checkDynptrArgument(v, facts, number, arg);
      return;
    case 'const-alloc-size-or-zero':
      if (!d.isConst(r)) v.reject(Errno.EACCES, `R${number} is not a known constant'`);
      facts.allocSize = d.value(r);
      markPrecise(v, number);
      return;
    case 'const-str':
      checkConstantString(v, number);
      return;
    case 'kptr-xchg-dest':
      facts.kptr = checkKptrDestination(v, number);
      return;
    default:
  }
}

/** The number in the size register bounds the memory in the register before it. */
function checkSize(v: Verifier, facts: CallFacts, number: number, zeroAllowed: boolean): void {
  const { d } = v;
  const r = v.reg(number);
  const memory = facts.signature.args[number - 2] as HelperArg;
  facts.maxSize = d.umax(r);
  if (d.smin(r) < 0) {
    v.reject(Errno.EACCES, `R${number} min value is negative, either use unsigned or 'var &= const'`);
  }
  if (d.umin(r) === 0 && !zeroAllowed) {
    v.reject(
      Errno.EACCES,
      `R${number} invalid zero-sized read: u64=[${d.big(r, L.Reg_umin)},${d.big(r, L.Reg_umax)}]`,
    );
  }
  if (d.umax(r) >= MAX_SIZE) {
    v.reject(Errno.EACCES, `R${number} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  // Where the size is not known, what the helper fills is not either: it must have been initialised.
  const raw = memory.uninit && d.isConst(r) ? facts.raw : undefined;
  checkMemory(v, number - 1, d.umax(r), memory.write ? 'write' : 'read', zeroAllowed, raw);
  markPrecise(v, number);
}

/** `size` bytes that a helper reads or writes (check_helper_mem_access). */
export function checkMemory(
  v: Verifier,
  number: number,
  size: number,
  type: AccessType,
  zeroAllowed: boolean,
  raw?: RawMemory,
): void {
  const { d } = v;
  const r = v.reg(number);
  const regType = d.type(r);
  const off = d.off(r);
  const helper: AccessSource = 'helper';
  const readOnly = () => {
    if (type === 'write' && regType & L.RDONLY) {
      v.reject(Errno.EACCES, `R${number} cannot write into ${typeName(regType)}`);
    }
  };
  switch (baseType(regType)) {
    case L.PACKET:
    case L.PACKET_META:
      checkPacketAccess(v, number, off, size, zeroAllowed);
      return;
    case L.MAP_KEY:
      if (type === 'write') v.reject(Errno.EACCES, `R${number} cannot write into ${typeName(regType)}`);
      checkRegion(v, number, off, size, v.mapOf(r).keySize, false);
      return;
    case L.MAP_VALUE:
      checkMapType(v, number, off, size, type);
      checkMapAccess(v, number, off, size, zeroAllowed, helper);
      return;
    case L.MEM:
      readOnly();
      checkRegion(v, number, off, size, d.object(r, 0) >>> 0, zeroAllowed);
      return;
    case L.BUF:
      readOnly();
      checkBufferAccess(v, number, off, size);
      return;
    case L.STACK:
      checkStackInitialised(v, number, off, size, zeroAllowed, type, raw);
      return;
    case L.BTF_ID:
      readBtf(v, { pointer: number, off: 0, size, type: 'read', value: -1 }, off);
      return;
    case L.CTX:
      // A context that the kernel translates is not memory; in others all of it must be readable.
      if (!v.contextTranslated) {
        if (size === 0) {
          if (zeroAllowed) return;
          v.reject(Errno.EACCES);
        }
        checkAccess(v, { pointer: number, off: size - 1, size: 1, type, value: -1 });
        return;
      }
      break;
    default:
  }
  if (zeroAllowed && size === 0 && isNull(v, r)) return;
  v.reject(Errno.EACCES, `R${number} type=${typeName(regType)} expected=${typeName(L.STACK)}`);
}

/** The key of an array lookup, when the stack says which number it is; -1 when it does not. */
function constantKey(v: Verifier, number: number, size: number): number {
  const { d } = v;
  const r = v.reg(number);
  if (d.type(r) !== L.STACK || !d.isConst(r)) return -1;
  const frameno = d.frameno(r);
  const frame = v.frameAt(frameno);
  const off = d.off(r) + d.value(r);
  const slot = slotOf(off);
  const first = (-off - 1) % 8;
  let run = 0;
  for (let i = first; i >= 0 && d.slotByte(frame, slot, i) === L.SLOT_ZERO; i--) run++;
  if (run >= size) return 0;
  const spilled = d.slotReg(frame, slot);
  if (!isSpilled(v, frame, slot) || d.type(spilled) !== L.SCALAR) return -1;
  run = 0;
  for (let i = first; i >= 0 && d.slotByte(frame, slot, i) === L.SLOT_SPILL; i--) run++;
  if (run !== size || !d.isConst(spilled)) return -1;
  v.backtracking.reset(v.frameNumber);
  v.backtracking.setSlot(slot, frameno);
  walkBack(v, v.state, v.insn, true);
  return d.umin(spilled);
}

/** A format: a constant address in a frozen read-only array, with an end. */
export function checkConstantString(v: Verifier, number: number): void {
  const { d } = v;
  const r = v.reg(number);
  if (d.type(r) !== L.MAP_VALUE) v.reject(Errno.EINVAL);
  const map = v.mapOf(r);
  if (!(map.flags & MapFlag.RdonlyProg) || !map.frozen) {
    v.reject(Errno.EACCES, `R${number} does not point to a readonly map'`);
  }
  if (!d.isConst(r)) v.reject(Errno.EACCES, `R${number} is not a constant address'`);
  if (map.type !== MapType.Array) {
    v.reject(Errno.EACCES, 'no direct value access support for this map type');
  }
  checkMapAccess(v, number, d.off(r), map.valueSize - d.off(r), false, 'helper');
  if (readString(map, d.off(r) + d.value(r)) === undefined) {
    v.reject(Errno.EINVAL, 'string is not zero-terminated');
  }
}

/** The bytes up to the zero; undefined when there is none. */
export function readString(map: VerifierMap, from: number): number[] | undefined {
  const bytes: number[] = [];
  for (let at = from; at < map.valueSize; at++) {
    const byte = map.readConstant?.(at, 1);
    if (byte === undefined) return undefined;
    if (byte === 0n) return bytes;
    bytes.push(Number(byte));
  }
  return undefined;
}

export type { Address };
export { mayBeNull };
