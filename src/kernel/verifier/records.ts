// Special fields of a type, found by the names of their structures and by tags (Linux: btf_parse_fields).

import type { Btf } from '../../btf/index.js';
import type { BtfRecord, SpecialField, SpecialKind } from './record.js';

/** Structures that are special by name. */
const STRUCTS: Readonly<Record<string, SpecialKind>> = {
  bpf_spin_lock: 'spin-lock',
  bpf_res_spin_lock: 'res-spin-lock',
  bpf_timer: 'timer',
  bpf_wq: 'workqueue',
  bpf_task_work: 'task-work',
  bpf_list_head: 'list-head',
  bpf_list_node: 'list-node',
  bpf_rb_root: 'rb-root',
  bpf_rb_node: 'rb-node',
  bpf_refcount: 'refcount',
};

/** The record of a value of type `id`; undefined when it has no special field. */
export function recordOf(btf: Btf, id: number): BtfRecord | undefined {
  const fields: SpecialField[] = [];
  const type = btf.type(btf.skipModifiers(id));
  if (type.kind !== 'STRUCT') return undefined;
  for (const member of type.members) {
    const target = btf.type(btf.skipModifiers(member.type));
    if (target.kind !== 'STRUCT') continue;
    const kind = STRUCTS[target.name];
    if (kind) fields.push({ kind, offset: member.bitOffset / 8, size: target.size });
  }
  return fields.length > 0 ? { fields } : undefined;
}
