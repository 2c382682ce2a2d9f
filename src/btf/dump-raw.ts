// BTF as text, type by type, as `bpftool btf dump ... format raw` prints it. Each type is described once,
// as the object that `-j` prints; the plain form is that object written in another way.

import type { Btf } from './btf.js';
import { Allowance } from './limit.js';
import { IntEncoding } from './types.js';

/** A type as bpftool's JSON describes it; `list` holds the name of the array among the fields. */
interface Description {
  kind: string;
  name: string;
  /** What follows id, kind and name. */
  fields: Fields;
  list?: { name: string; items: Fields[] };
}

type Fields = { readonly [name: string]: string | number | bigint };

function encodingName(encoding: number): string {
  switch (encoding) {
    case 0:
      return '(none)';
    case IntEncoding.Signed:
      return 'SIGNED';
    case IntEncoding.Char:
      return 'CHAR';
    case IntEncoding.Bool:
      return 'BOOL';
    default:
      return 'UNKN';
  }
}

const named = (name: string) => (name === '' ? '(anon)' : name);

function describe(btf: Btf, id: number): Description {
  const type = btf.type(id);
  const { kind } = type;
  const name = named(type.name);
  switch (type.kind) {
    case 'VOID':
      return { kind: 'UNKNOWN', name, fields: {} };
    case 'INT':
      return {
        kind,
        name,
        fields: {
          size: type.size,
          bits_offset: type.bitOffset,
          nr_bits: type.bits,
          encoding: encodingName(type.encoding),
        },
      };
    case 'PTR':
    case 'TYPEDEF':
    case 'VOLATILE':
    case 'CONST':
    case 'RESTRICT':
    case 'TYPE_TAG':
      return { kind, name, fields: { type_id: type.type } };
    case 'ARRAY':
      return {
        kind,
        name,
        fields: { type_id: type.type, index_type_id: type.indexType, nr_elems: type.length },
      };
    case 'STRUCT':
    case 'UNION':
      return {
        kind,
        name,
        fields: { size: type.size, vlen: type.members.length },
        list: {
          name: 'members',
          items: type.members.map((member) => ({
            name: named(member.name),
            type_id: member.type,
            bits_offset: member.bitOffset,
            ...(member.bitSize === 0 ? {} : { bitfield_size: member.bitSize }),
          })),
        },
      };
    case 'ENUM':
    case 'ENUM64':
      return {
        kind,
        name,
        fields: {
          encoding: type.signed ? 'SIGNED' : 'UNSIGNED',
          size: type.size,
          vlen: type.values.length,
        },
        list: {
          name: 'values',
          items: type.values.map((value) => ({ name: named(value.name), val: value.value })),
        },
      };
    case 'FWD':
      return { kind, name, fields: { fwd_kind: type.union ? 'union' : 'struct' } };
    case 'FUNC':
    case 'VAR':
      return { kind, name, fields: { type_id: type.type, linkage: type.linkage } };
    case 'FUNC_PROTO':
      return {
        kind,
        name,
        fields: { ret_type_id: type.returnType, vlen: type.params.length },
        list: {
          name: 'params',
          items: type.params.map((param) => ({ name: named(param.name), type_id: param.type })),
        },
      };
    case 'DATASEC':
      return {
        kind,
        name,
        fields: { size: type.size, vlen: type.vars.length },
        list: {
          name: 'vars',
          items: type.vars.map((v) => ({ type_id: v.type, offset: v.offset, size: v.size })),
        },
      };
    case 'FLOAT':
      return { kind, name, fields: { size: type.size } };
    case 'DECL_TAG':
      return { kind, name, fields: { type_id: type.type, component_idx: type.componentIndex } };
  }
}

/** The ids to print: those asked for, or all that are not the base's. */
function* selected(btf: Btf, roots: readonly number[] | undefined): Iterable<number> {
  if (roots !== undefined) yield* roots;
  else for (let id = btf.firstId; id < btf.typeCount; id++) yield id;
}

/** `bpftool btf dump ... format raw`, type by type: each on a line, its members on lines of their own. */
export function* rawText(btf: Btf, roots?: readonly number[]): Generator<string> {
  const allowance = new Allowance(btf, 'the text');
  for (const id of selected(btf, roots)) {
    const { kind, name, fields, list } = describe(btf, id);
    let text = `[${id}] ${kind} '${name}'`;
    for (const field in fields) {
      text += ` ${field}=${fields[field]}${kind === 'VAR' && field === 'type_id' ? ',' : ''}`;
    }
    text += '\n';
    const suffix = kind !== 'ENUM64' ? '' : fields.encoding === 'SIGNED' ? 'LL' : 'ULL';
    for (const item of list?.items ?? []) text += `${itemText(btf, item)}${suffix}\n`;
    allowance.spend(text.length);
    yield text;
  }
}

/** The whole of `rawText`. */
export const dumpRaw = (btf: Btf, roots?: readonly number[]): string => [...rawText(btf, roots)].join('');

function itemText(btf: Btf, item: Fields): string {
  let text = '';
  for (const field in item) {
    text += `${text === '' ? '\t' : ' '}${field === 'name' ? `'${item.name}'` : `${field}=${item[field]}`}`;
  }
  if (item.name === undefined && typeof item.type_id === 'number') {
    const kind = btf.kind(item.type_id);
    text += ` (${kind === 'VOID' ? 'UNKNOWN' : kind} '${named(btf.nameOf(item.type_id))}')`;
  }
  return text;
}

/** A type as `bpftool -j btf dump ... format raw` describes it. */
export type RawType = {
  readonly [name: string]: string | number | bigint | readonly Fields[];
};

/**
 * The elements of what `bpftool -j btf dump ... format raw` prints as `types`. Unsigned enumerators from 2^31 on are
 * widened there as if they were signed, and so here.
 */
export function* rawTypes(btf: Btf, roots?: readonly number[]): Generator<RawType> {
  const allowance = new Allowance(btf, 'the text');
  for (const id of selected(btf, roots)) {
    const { kind, name, fields, list } = describe(btf, id);
    allowance.spend(name.length);
    for (const item of list?.items ?? []) allowance.spend(String(item.name).length);
    const items = list === undefined ? {} : { [list.name]: list.items.map(widened) };
    yield { id, kind, name, ...fields, ...items };
  }
}

function widened(item: Fields): Fields {
  const { val } = item;
  if (typeof val !== 'number' || val <= 0x7fffffff) return item;
  return { ...item, val: BigInt.asUintN(64, BigInt(val | 0)) };
}
