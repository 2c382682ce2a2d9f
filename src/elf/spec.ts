// What an object file holds, as plain values: the same on every machine, free to inspect and change.
// Whatever depends on a kernel (CO-RE, feature probes, ids) happens when the spec is loaded.

import type { AttachType, MapType, ProgType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import type { CoreRelocation } from '../btf/ext.js';
import type { Instruction } from '../isa/instruction.js';
import type { StructOpsMember } from './struct-ops.js';

/** All that one object file defines. */
export interface CollectionSpec {
  byteOrder: 'little' | 'big';
  /** The contents of the `license` section, without the trailing NUL; empty when there is none. */
  license: string;
  /** The `version` section (legacy kernel version), if there is one. */
  kernelVersion?: number;
  programs: ProgramSpec[];
  maps: MapSpec[];
  /** Variables in `.data*`, `.rodata*` and `.bss*`, by section and offset. */
  variables: VariableSpec[];
  /** `.kconfig` and `.ksyms` externs, and what is declared and nowhere defined. */
  externs: ExternSpec[];
  /** Instances of kernel structures that programs implement (`.struct_ops`, `.struct_ops.link`). */
  structOps?: StructOpsSpec[];
  btf?: Btf;
}

/** One program, its subprograms already appended (in the order in which libbpf appends them). */
export interface ProgramSpec {
  name: string;
  /** The section as written, e.g. `xdp`, `?tp/syscalls/sys_enter_open`. */
  section: string;
  type: ProgType;
  attachType?: AttachType;
  /** What follows the section's prefix: `syscalls/sys_enter_open`. */
  attachTo?: string;
  /** For `struct_ops`: the kernel structure and its member that a variable of the object sets to this program. */
  structOps?: StructOpsMember;
  /** BPF_F_SLEEPABLE and the like, as the section name asks. */
  flags: number;
  /** False for `SEC("?...")`. */
  autoload: boolean;
  /** One entry an instruction; a wide `ld_imm64` is one entry and two slots. */
  instructions: Instruction[];
  /** Where each function begins, the main one first (slot 0). */
  functions: FunctionSpec[];
  /** What symbols the instructions refer to, by slot, ascending. */
  references: Reference[];
  /** Source lines by slot, ascending. */
  lines: LineSpec[];
  coreRelocations: (CoreRelocation & { slot: number })[];
}

export interface FunctionSpec {
  name: string;
  /** First instruction, in 8-byte slots from the program's start. */
  slot: number;
  /** The BTF FUNC type id in the object's BTF; 0 without one. */
  typeId: number;
}

export interface LineSpec {
  /** In 8-byte slots from the program's start. */
  slot: number;
  file: string;
  /** The text of the line, as the compiler recorded it. */
  text: string;
  line: number;
  column: number;
  /** Offsets into the BTF string table, for loading. */
  fileNameOff: number;
  lineOff: number;
}

/** A symbolic operand, resolved when the program is loaded. */
export type Reference =
  /** `ld_imm64` of a map's descriptor (BPF_PSEUDO_MAP_FD). */
  | { kind: 'map'; slot: number; map: string }
  /** `ld_imm64` of an address in a section's map (BPF_PSEUDO_MAP_VALUE): offset within the section. */
  | { kind: 'mapValue'; slot: number; map: string; offset: number }
  /** `ld_imm64` of a subprogram's address (BPF_PSEUDO_FUNC): the slot is already in imm. */
  | { kind: 'function'; slot: number; name: string }
  /** A `.kconfig` or `.ksyms` extern (address or kfunc call). */
  | { kind: 'extern'; slot: number; name: string };

/** One map. Sections with variables are maps too (`.data`, `.rodata`, `.bss`, `.kconfig`). */
export interface MapSpec {
  /** The C name, or the section name for sections. */
  name: string;
  type: MapType;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  mapExtra: number;
  numaNode?: number;
  /** LIBBPF_PIN_NONE 0, LIBBPF_PIN_BY_NAME 1; other loaders have numbers of their own. */
  pinning: number;
  /** BTF type ids of key and value; 0 without. */
  keyTypeId: number;
  valueTypeId: number;
  /** The template of a map-in-map. */
  innerMap?: MapSpec;
  /** `.values = { [index] = &map_or_program }` of map-in-map and program arrays. */
  initialSlots?: { index: number; kind: 'map' | 'program'; name: string }[];
  /** Set for section maps. */
  section?: { kind: 'data' | 'rodata' | 'bss' | 'kconfig'; contents: Uint8Array };
}

/** An instance of a kernel structure whose members are set to programs. It becomes a map of one element. */
export interface StructOpsSpec {
  name: string;
  /** The structure as the object names it, flavor included. */
  struct: string;
  /** BTF type id of that. */
  typeId: number;
  /** What the variable holds; where a program stands, zero. */
  contents: Uint8Array;
  programs: { member: string; program: string }[];
  /** Registered by a link (`.struct_ops.link`), otherwise by the update of the map. */
  link: boolean;
  /** False for `?.struct_ops`. */
  autoload: boolean;
}

/** A global variable; its value is the bytes at `offset` in its section map's contents. */
export interface VariableSpec {
  name: string;
  /** Name of the section map. */
  map: string;
  offset: number;
  size: number;
  /** BTF type id of the variable's type (not of the VAR); 0 without BTF. */
  typeId: number;
  linkage: 'static' | 'global';
}

export interface ExternSpec {
  name: string;
  /** Undefined for what nothing is known of: a program that refers to it cannot be loaded. */
  section: '.kconfig' | '.ksyms' | undefined;
  /** BTF type id of the VAR's type or of the FUNC; 0 without BTF. */
  typeId: number;
  isFunction: boolean;
  weak: boolean;
  /** For `.kconfig`: offset and size in the section map. */
  offset: number;
  size: number;
}
