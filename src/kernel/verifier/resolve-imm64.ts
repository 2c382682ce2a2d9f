// Before the walk: every instruction exists, and every `ld_imm64` that names a map or a variable finds it
// (Linux: resolve_pseudo_ldimm64).

import { Errno } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import { InsnClass, Mode, PseudoSource } from '../../isa/opcodes.js';
import { isKnownOpcode } from '../../isa/table.js';
import type { VerifierMap } from './program.js';
import type { SpecialKind } from './record.js';
import { mapProgramRefusal, mapUse } from './tables/map-helpers.js';
import type { ValueField } from './tables/types.js';
import type { Verifier } from './verifier.js';

const LD_IMM64 = 0x18;
/** gotox and callx, which 6.18 does not have. */
const INDIRECT = new Set([0x0d, 0x8d]);
/** BPF_MAX_VAR_OFF. */
const MAX_OFFSET = 1 << 29;
/** MAX_USED_MAPS. */
const MAX_MAPS = 64;

export function resolveLoads(v: Verifier): void {
  for (let i = 0; i < v.length; i++) {
    const code = v.code[i] as number;
    if (
      (code & 7) === InsnClass.LDX &&
      (((code & 0xe0) !== Mode.MEM && (code & 0xe0) !== Mode.MEMSX) || v.imm[i])
    ) {
      v.reject(Errno.EINVAL, 'BPF_LDX uses reserved fields');
    }
    if (code === LD_IMM64) {
      resolve(v, i);
      i++;
      continue;
    }
    if (!isKnownOpcode(code) || INDIRECT.has(code))
      v.reject(Errno.EINVAL, `unknown opcode ${code.toString(16).padStart(2, '0')}`);
  }
}

function resolve(v: Verifier, i: number): void {
  const source = v.src[i] as number;
  const high = v.imm[i + 1] as number;
  if (i === v.length - 1 || v.code[i + 1] || v.dst[i + 1] || v.src[i + 1] || v.off[i + 1]) {
    v.reject(Errno.EINVAL, 'invalid bpf_ld_imm64 insn');
  }
  if (source === PseudoSource.NONE) return;
  if (source === PseudoSource.BTF_ID) {
    v.resolveKernelVariable(i);
    return;
  }
  if (source === PseudoSource.FUNC) return;
  const value = source === PseudoSource.MAP_VALUE || source === PseudoSource.MAP_IDX_VALUE;
  if (source > PseudoSource.MAP_IDX_VALUE || (!value && high !== 0)) {
    v.reject(Errno.EINVAL, 'unrecognized bpf_ld_imm64 insn');
  }
  let fd = v.imm[i] as number;
  if (source === PseudoSource.MAP_IDX || source === PseudoSource.MAP_IDX_VALUE) {
    const { fdArray } = v.program;
    if (!fdArray) v.reject(Errno.EPROTO, 'fd_idx without fd_array is invalid');
    fd = fdArray[fd] ?? -1;
  }
  const map = useMap(v, fd);
  v.mapUse.set(i, { map, poisoned: false });
  if (!value) return;
  const off = high >>> 0;
  if (off >= MAX_OFFSET) v.reject(Errno.EINVAL, `direct value offset of ${off} is not allowed`);
  if (!mapUse(map.type)?.directValue) {
    v.reject(Errno.EINVAL, 'no direct value access support for this map type');
  }
  // Only the first element has an address; ENOTSUPP for more of them.
  if (map.type === MapType.Array && map.maxEntries !== 1) {
    v.reject(Errno.ENOTSUPP, `invalid access to map value pointer, value_size=${map.valueSize} off=${off}`);
  }
  if (map.type !== MapType.Arena && off >= map.valueSize) {
    v.reject(Errno.EINVAL, `invalid access to map value pointer, value_size=${map.valueSize} off=${off}`);
  }
}

/** The last of the three descriptors that are there from the start. */
const STANDARD_ERROR = 2;

function useMap(v: Verifier, fd: number): VerifierMap {
  const map = v.environment.map(fd);
  if (!map) {
    // A descriptor of something else is invalid, one of nothing is bad. The standard streams are open in every process.
    const isOpen = (fd >= 0 && fd <= STANDARD_ERROR) || v.environment.btf(fd) !== undefined;
    const errno = isOpen ? Errno.EINVAL : Errno.EBADF;
    return v.reject(errno, `fd ${fd} is not pointing to valid bpf_map`);
  }
  if (v.usedMaps.has(map)) return map;
  const fields = map.record?.fields.map(({ kind }) => valueField(kind)) ?? [];
  const why = mapProgramRefusal(map.type, fields, v.program.type, v.programSleepable);
  if (why !== undefined) v.reject(Errno.EINVAL, why);
  if (v.usedMaps.size >= MAX_MAPS) {
    v.reject(Errno.E2BIG, `The total number of maps per program has reached the limit of ${MAX_MAPS}`);
  }
  v.usedMaps.add(map);
  if (map.type === MapType.Arena) v.arena = true;
  return map;
}

/** Kinds of field as the table of maps names them. */
const valueField = (kind: SpecialKind): ValueField =>
  kind.startsWith('kptr') || kind === 'uptr' ? 'kptr' : (kind as ValueField);
