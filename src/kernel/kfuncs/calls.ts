// The calls of kernel functions in a program: which function each is, and what the kernel passes beside what the program
// does. Object types are laid out in linear memory once for all programs, since objects outlive those.

import type { Btf } from '../../btf/index.js';
import type { KernelMemory } from '../memory/memory.js';
import { layout } from '../memory/memory.js';
import type { SpecialKind } from '../verifier/record.js';
import { objectRecord } from '../verifier/records.js';
import type { KfuncFacts, RewriteFacts } from '../verifier/rewrites/facts.js';
import { type KfuncDefinition, kfuncByName } from './index.js';

/** One call, by slot. */
export interface KfuncCall {
  readonly definition: KfuncDefinition;
  /** Address of an ObjectType; 0 when the function does not ask for one. */
  readonly type: number;
  /** Where a node lies in its object. */
  readonly offset: number;
}

const fieldKinds: Readonly<Partial<Record<SpecialKind, number>>> = {
  'list-head': layout.FIELD_LIST_HEAD,
  'rb-root': layout.FIELD_RB_ROOT,
  'list-node': layout.FIELD_LIST_NODE,
  'rb-node': layout.FIELD_RB_NODE,
  refcount: layout.FIELD_REFCOUNT,
  'kptr-ref': layout.FIELD_KPTR,
};

/** Types of objects in linear memory, made when the first program asks. */
export class ObjectTypes {
  readonly #memory: KernelMemory;
  readonly #known = new WeakMap<Btf, Map<number, number>>();

  constructor(memory: KernelMemory) {
    this.#memory = memory;
  }

  /** Address of the ObjectType of structure `id`; undefined when there is no room. */
  address(btf: Btf, id: number): number | undefined {
    let types = this.#known.get(btf);
    if (!types) {
      types = new Map();
      this.#known.set(btf, types);
    }
    const known = types.get(id);
    if (known !== undefined) return known;
    const memory = this.#memory;
    const fields = (objectRecord(btf, id)?.fields ?? []).filter(({ kind }) => fieldKinds[kind] !== undefined);
    const at = memory.alloc(layout.ObjectType_size + fields.length * layout.ObjectField_size);
    if (at === undefined) return undefined;
    // Before its fields, one of which may be a list of such objects.
    types.set(id, at);
    const type = btf.type(id);
    memory.setU32(at + layout.ObjectType_bytes, type.kind === 'STRUCT' ? type.size : 0);
    memory.setU32(at + layout.ObjectType_fields, fields.length);
    fields.forEach((field, i) => {
      const place = at + layout.ObjectType_size + i * layout.ObjectField_size;
      memory.setU32(place + layout.ObjectField_kind, fieldKinds[field.kind] ?? 0);
      memory.setU32(place + layout.ObjectField_offset, field.offset);
      // What points to an object of the kernel's own is not ours to free.
      const held = field.btf === btf && field.btfId ? this.address(btf, field.btfId) : 0;
      memory.setU32(place + layout.ObjectField_type, held ?? 0);
      memory.setU32(place + layout.ObjectField_node, field.nodeOffset ?? 0);
    });
    return at;
  }
}

/** A call whose function the emulated kernel has; otherwise why it cannot be made. */
function callOf(facts: KfuncFacts, types: ObjectTypes): KfuncCall | string {
  const definition = kfuncByName(facts.name);
  if (!definition) return `kernel function ${facts.name} is not available in this emulated kernel yet`;
  if (!definition.typeAt) return { definition, type: 0, offset: 0 };
  if (!facts.btf || !facts.typeId) return `what type of object ${facts.name} is given is not known`;
  const type = types.address(facts.btf, facts.typeId);
  if (type === undefined) return 'no room for the types of objects';
  return { definition, type, offset: facts.nodeOffset ?? 0 };
}

/** All calls of a program by slot, or why one cannot be made. */
export function kfuncCalls(facts: RewriteFacts, types: ObjectTypes): Map<number, KfuncCall | string> {
  return new Map([...facts.kfuncs].map(([slot, one]) => [slot, callOf(one, types)]));
}
