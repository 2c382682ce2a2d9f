// Special fields of a type (Linux: btf_parse_fields): structures known by name, pointers with a type tag, and lists and
// trees whose `contains:TYPE:MEMBER` tag says what their nodes are in.

import { Errno } from '../../bpf/errno.js';
import type { Btf, BtfComposite, BtfType } from '../../btf/index.js';
import type { BtfRecord, SpecialField, SpecialKind } from './record.js';

/** What is special by name: size and alignment in bytes; `once`: a value has at most one. */
interface Shape {
  readonly kind: SpecialKind;
  readonly size: number;
  readonly align: number;
  readonly once?: boolean;
}

const STRUCTS: Readonly<Record<string, Shape>> = {
  bpf_spin_lock: { kind: 'spin-lock', size: 4, align: 4, once: true },
  bpf_res_spin_lock: { kind: 'res-spin-lock', size: 4, align: 4, once: true },
  bpf_timer: { kind: 'timer', size: 16, align: 8, once: true },
  bpf_wq: { kind: 'workqueue', size: 16, align: 8, once: true },
  bpf_task_work: { kind: 'task-work', size: 8, align: 8, once: true },
  bpf_list_head: { kind: 'list-head', size: 16, align: 8 },
  bpf_list_node: { kind: 'list-node', size: 24, align: 8 },
  bpf_rb_root: { kind: 'rb-root', size: 16, align: 8 },
  bpf_rb_node: { kind: 'rb-node', size: 32, align: 8 },
  bpf_refcount: { kind: 'refcount', size: 4, align: 4, once: true },
};

const POINTERS: Readonly<Record<string, SpecialKind>> = {
  kptr_untrusted: 'kptr-unref',
  kptr: 'kptr-ref',
  percpu_kptr: 'kptr-percpu',
  uptr: 'uptr',
};

/** What may be in a map value, and in an object that programs allocate. */
const IN_MAPS: ReadonlySet<SpecialKind> = new Set<SpecialKind>([
  'spin-lock',
  'res-spin-lock',
  'timer',
  'workqueue',
  'task-work',
  'kptr-unref',
  'kptr-ref',
  'kptr-percpu',
  'uptr',
  'list-head',
  'rb-root',
  'refcount',
]);
const IN_OBJECTS: ReadonlySet<SpecialKind> = new Set<SpecialKind>([
  'spin-lock',
  'res-spin-lock',
  'list-head',
  'list-node',
  'rb-root',
  'rb-node',
  'refcount',
  'kptr-unref',
  'kptr-ref',
  'kptr-percpu',
]);
/** Arrays of other fields are refused. */
const REPEATABLE: ReadonlySet<SpecialKind> = new Set<SpecialKind>([
  'kptr-unref',
  'kptr-ref',
  'kptr-percpu',
  'uptr',
  'list-head',
  'rb-root',
]);

const ROOTS: readonly SpecialKind[] = ['list-head', 'rb-root'];
const NODES: readonly SpecialKind[] = ['list-node', 'rb-node'];

/** BTF_FIELDS_MAX, MAX_RESOLVE_DEPTH. */
const MAX_FIELDS = 11;
const MAX_DEPTH = 32;

/** The type cannot be the value of a map (or an allocated object): its special fields contradict the rules. */
export class BadFields extends Error {
  /** Linux's, where a type is looked at when its BTF is loaded. */
  readonly errno: Errno;

  constructor(why: string, errno: Errno = Errno.EINVAL) {
    super(why);
    this.name = 'BadFields';
    this.errno = errno;
  }
}

/** One reading of a type. */
class Reader {
  readonly #btf: Btf;
  readonly #wanted: ReadonlySet<SpecialKind>;
  readonly #seen = new Set<SpecialKind>();
  readonly fields: SpecialField[] = [];

  constructor(btf: Btf, wanted: ReadonlySet<SpecialKind>) {
    this.#btf = btf;
    this.#wanted = wanted;
  }

  #add(field: SpecialField): void {
    if (this.fields.length >= MAX_FIELDS)
      throw new BadFields(`more than ${MAX_FIELDS} special fields`, Errno.E2BIG);
    this.fields.push(field);
  }

  /** The members of a structure that begins at `base`. */
  struct(type: BtfComposite, base: number, depth: number): void {
    if (depth >= MAX_DEPTH) throw new BadFields('structures nested too deep', Errno.E2BIG);
    type.members.forEach((member, i) => {
      if (member.bitOffset % 8) throw new BadFields(`${member.name} is no whole byte`);
      this.field(type.id, i, member.type, base + member.bitOffset / 8, 0, depth);
    });
  }

  /** The variables of a section. */
  section(id: number): void {
    const section = this.#btf.type(id);
    if (section.kind !== 'DATASEC') return;
    for (const { type, offset, size } of section.vars) {
      const variable = this.#btf.type(type);
      if (variable.kind === 'VAR') this.field(type, -1, variable.type, offset, size, 0);
    }
  }

  /** Component `component` of type `owner`: what it is, and all of its elements if it is an array. */
  field(owner: number, component: number, typeId: number, at: number, expected: number, depth: number): void {
    const btf = this.#btf;
    let count = 1;
    let id = typeId;
    let type: BtfType = btf.type(id);
    for (let i = 0; type.kind === 'ARRAY'; i++) {
      if (i >= MAX_DEPTH) throw new BadFields('arrays nested too deep', Errno.E2BIG);
      count *= type.length;
      id = type.type;
      type = btf.type(id);
    }
    if (count === 0) return;
    const before = this.fields.length;
    let elementSize: number;
    if (type.kind === 'STRUCT') {
      const shape = STRUCTS[type.name];
      if (shape && this.#wanted.has(shape.kind)) {
        if (shape.once && this.#seen.has(shape.kind)) throw new BadFields(`two ${type.name}`, Errno.E2BIG);
        this.#seen.add(shape.kind);
        if ((expected && expected !== shape.size * count) || at % shape.align || type.size !== shape.size)
          return;
        elementSize = shape.size;
        if (shape.kind === 'list-head' || shape.kind === 'rb-root') {
          this.#add(this.#root(shape, owner, component, at));
        } else {
          this.#add({ kind: shape.kind, offset: at, size: shape.size });
        }
      } else {
        elementSize = type.size;
        if (expected && expected !== elementSize * count) return;
        this.struct(type, at, depth + 1);
      }
    } else {
      if ((expected && expected !== 8 * count) || at % 8) return;
      const field = this.#pointer(id, at);
      if (!field) return;
      elementSize = 8;
      this.#add(field);
    }
    this.#repeat(this.fields.slice(before), count, elementSize);
  }

  #repeat(fields: readonly SpecialField[], count: number, elementSize: number): void {
    if (count === 1 || fields.length === 0) return;
    for (const { kind } of fields) if (!REPEATABLE.has(kind)) throw new BadFields(`an array of ${kind}`);
    if (fields.length * count > MAX_FIELDS)
      throw new BadFields(`more than ${MAX_FIELDS} special fields`, Errno.E2BIG);
    for (let i = 1; i < count; i++) {
      for (const field of fields) this.#add({ ...field, offset: field.offset + i * elementSize });
    }
  }

  /** A pointer with a tag that makes it a kernel's (or user's) pointer. */
  #pointer(id: number, at: number): SpecialField | undefined {
    const btf = this.#btf;
    let type = btf.type(id);
    if (type.kind === 'VOLATILE') type = btf.type(type.type);
    if (type.kind !== 'PTR') return undefined;
    const tag = btf.type(type.type);
    if (tag.kind !== 'TYPE_TAG' || tag.attribute) return undefined;
    if (btf.kind(tag.type) === 'TYPE_TAG') throw new BadFields('a pointer with two type tags');
    const kind = POINTERS[tag.name];
    if (!kind || !this.#wanted.has(kind)) throw new BadFields(`a pointer with the type tag ${tag.name}`);
    const target = btf.skipModifiers(tag.type);
    if (btf.kind(target) !== 'STRUCT') throw new BadFields(`a ${tag.name} to what is no structure`);
    return { kind, offset: at, size: 8, btf, btfId: target };
  }

  /** A list or tree: its tag names the structure of its elements, and the node in it. */
  #root(shape: Shape, owner: number, component: number, at: number): SpecialField {
    const btf = this.#btf;
    const prefix = 'contains:';
    const tags = btf.declTagsOf(owner, component).filter((tag) => tag.startsWith(prefix));
    if (tags.length !== 1) throw new BadFields(`a ${shape.kind} wants one tag ${prefix}`);
    const [name = '', ...rest] = (tags[0] as string).slice(prefix.length).split(':');
    const nodeName = rest.join(':');
    const btfId = btf.findByName(name, 'STRUCT');
    if (rest.length === 0) throw new BadFields(`${tags[0]} names no node`);
    if (btfId === undefined) throw new BadFields(`${tags[0]} names nothing`, Errno.ENOENT);
    if (nodeName === '') throw new BadFields(`${tags[0]} names no node`);
    const wanted = shape.kind === 'list-head' ? 'bpf_list_node' : 'bpf_rb_node';
    const nodes = (btf.type(btfId) as BtfComposite).members.filter((member) => member.name === nodeName);
    const [node] = nodes;
    if (!node) throw new BadFields(`${name} has no ${nodeName}`, Errno.ENOENT);
    if (nodes.length > 1 || btf.nameOf(node.type) !== wanted || node.bitOffset % 64) {
      throw new BadFields(`${nodeName} of ${name} is no ${wanted}`);
    }
    return { kind: shape.kind, offset: at, size: shape.size, btf, btfId, nodeOffset: node.bitOffset / 8 };
  }
}

function read(btf: Btf, id: number, wanted: ReadonlySet<SpecialKind>, size: number): BtfRecord | undefined {
  const type = btf.type(id);
  const reader = new Reader(btf, wanted);
  if (type.kind === 'STRUCT') reader.struct(type, 0, 0);
  else if (type.kind === 'DATASEC') reader.section(id);
  const { fields } = reader;
  if (fields.length === 0) return undefined;
  let end = 0;
  for (const field of fields) {
    if (field.offset < end) throw new BadFields('special fields overlap', Errno.EEXIST);
    end = field.offset + field.size;
  }
  if (end > size) throw new BadFields('a special field lies outside of the value', Errno.EFAULT);
  const has = (...kinds: SpecialKind[]) => fields.some(({ kind }) => kinds.includes(kind));
  if (has('spin-lock') && has('res-spin-lock')) throw new BadFields('two kinds of lock');
  if (has('list-head', 'rb-root') && !has('spin-lock', 'res-spin-lock')) {
    throw new BadFields('a list or tree without a lock');
  }
  if (has('list-node') && has('rb-node') && !has('refcount')) {
    throw new BadFields('an object in a list and in a tree wants a bpf_refcount');
  }
  return { fields: [...fields].sort((a, b) => a.offset - b.offset) };
}

/**
 * The special fields of a map value of type `id`; undefined when it has none. Throws BadFields where Linux refuses to
 * create the map.
 */
export function mapRecord(btf: Btf, id: number): BtfRecord | undefined {
  const below = btf.skipModifiers(id);
  const { kind } = btf.type(below);
  if (kind !== 'STRUCT' && kind !== 'DATASEC') return undefined;
  return read(btf, below, IN_MAPS, btf.sizeOf(below));
}

/** As `mapRecord`; a value whose fields contradict the rules has none. */
export function recordOf(btf: Btf, id: number): BtfRecord | undefined {
  try {
    return mapRecord(btf, id);
  } catch (error) {
    if (error instanceof BadFields) return undefined;
    throw error;
  }
}

/**
 * Throws BadFields when a structure that programs could allocate has special fields that contradict the rules: Linux does
 * not load such BTF (btf_parse_struct_metas).
 */
export function checkStructures(btf: Btf): void {
  const records = new Map<number, BtfRecord>();
  for (let id = btf.firstId; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'STRUCT') continue;
    const type = btf.type(id) as BtfComposite;
    if (!type.members.some(({ type: member }) => isSpecial(btf, member))) continue;
    const record = read(btf, id, IN_OBJECTS, type.size);
    // Its offset is a wrong one, or its size.
    if (!record) throw new BadFields(`${type.name} has a special field where none can be`, Errno.EFAULT);
    records.set(id, record);
  }
  const isOf = (record: BtfRecord | undefined, kinds: readonly SpecialKind[]): boolean =>
    record?.fields.some(({ kind }) => kinds.includes(kind)) ?? false;
  for (const record of records.values()) {
    for (const { btfId } of record.fields.filter(({ kind }) => ROOTS.includes(kind))) {
      if (!records.has(btfId ?? 0)) throw new BadFields('a list or tree of what has no node', Errno.EFAULT);
      if (isOf(record, NODES) && isOf(records.get(btfId ?? 0), ROOTS)) {
        throw new BadFields('objects that own objects that own others', Errno.ELOOP);
      }
    }
  }
}

const known = new WeakMap<Btf, Map<number, BtfRecord | undefined>>();

/** The special fields of an object of structure `id` that a program allocates. */
export function objectRecord(btf: Btf, id: number): BtfRecord | undefined {
  let records = known.get(btf);
  if (!records) {
    records = new Map();
    known.set(btf, records);
  }
  if (records.has(id)) return records.get(id);
  const type = btf.type(id);
  let record: BtfRecord | undefined;
  if (type.kind === 'STRUCT' && type.members.some(({ type: member }) => isSpecial(btf, member))) {
    try {
      record = read(btf, id, IN_OBJECTS, type.size);
    } catch (error) {
      if (!(error instanceof BadFields)) throw error;
    }
  }
  records.set(id, record);
  return record;
}

/** A member of this type makes a structure one with special fields; what lies deeper does not. */
function isSpecial(btf: Btf, id: number): boolean {
  const type = btf.type(id);
  if (type.kind === 'STRUCT') {
    const shape = STRUCTS[type.name];
    return shape !== undefined && IN_OBJECTS.has(shape.kind);
  }
  const pointer = type.kind === 'VOLATILE' ? btf.type(type.type) : type;
  if (pointer.kind !== 'PTR') return false;
  const tag = btf.type(pointer.type);
  if (tag.kind !== 'TYPE_TAG' || tag.attribute) return false;
  const kind = POINTERS[tag.name];
  // Linux does not look at a structure because of a pointer to what is none (btf_find_kptr).
  return kind !== undefined && IN_OBJECTS.has(kind) && btf.kind(btf.skipModifiers(tag.type)) === 'STRUCT';
}
