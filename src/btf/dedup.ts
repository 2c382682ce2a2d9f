// Types that say the same, merged. Two types are one when they look alike and whatever they refer to is one in turn, loops
// included: the coarsest such partition, found by splitting classes until nothing is left to split. A declaration without
// a body (`struct x;`, `enum x;`) joins the one definition of that name, unless there are several.
// Variables and sections are never merged.

import type { NewBtfType } from './encode.js';
import { typeIdsOf, withTypeIds } from './references.js';

export interface Deduplicated {
  /** In the order of the first of each class; ids count from 1. */
  types: NewBtfType[];
  /** The new id of each old one; 0 is void. */
  ids: Uint32Array;
}

/** Merges types, whose ids are their places counted from 1. */
export function dedupTypes(types: readonly NewBtfType[]): Deduplicated {
  const graph = types.map((type, i) => ({ shape: shapeOf(type, i + 1), refers: typeIdsOf(type) }));
  const declared = declarations(types);
  let classes: Uint32Array;
  for (;;) {
    const stands = standIns(types.length, declared);
    classes = partition(graph, stands);
    const ambiguous = declared.filter(({ definitions: [first = 0, ...rest] }) =>
      rest.some((id) => classes[id] !== classes[first]),
    );
    if (ambiguous.length === 0) break;
    for (const one of ambiguous) declared.splice(declared.indexOf(one), 1);
  }
  return merged(types, classes, standIns(types.length, declared));
}

/** Everything of a type but what it refers to. */
function shapeOf(type: NewBtfType, id: number): string {
  if (type.kind === 'VAR' || type.kind === 'DATASEC') return `${type.kind} ${id}`;
  const { kind } = type;
  return JSON.stringify({ ...withTypeIds(type, () => 0), id: undefined, kind }, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}

interface Declaration {
  ids: number[];
  definitions: number[];
}

/** What is declared without a body and defined elsewhere, by name. */
function declarations(types: readonly NewBtfType[]): Declaration[] {
  const found = new Map<string, Declaration>();
  types.forEach((type, i) => {
    const named = declaredName(type);
    if (named === undefined) return;
    const { key, defined } = named;
    const entry = found.get(key) ?? { ids: [], definitions: [] };
    (defined ? entry.definitions : entry.ids).push(i + 1);
    found.set(key, entry);
  });
  return [...found.values()].filter(({ ids, definitions }) => ids.length > 0 && definitions.length > 0);
}

function declaredName(type: NewBtfType): { key: string; defined: boolean } | undefined {
  if (type.name === '') return undefined;
  switch (type.kind) {
    case 'FWD':
      return { key: `${type.union ? 'UNION' : 'STRUCT'} ${type.name}`, defined: false };
    case 'STRUCT':
    case 'UNION':
      return { key: `${type.kind} ${type.name}`, defined: true };
    case 'ENUM':
    case 'ENUM64':
      return { key: `ENUM ${type.name}`, defined: type.values.length > 0 };
    default:
      return undefined;
  }
}

/** For each id the one that stands in for it: its definition for a declaration, otherwise itself. */
function standIns(count: number, declared: readonly Declaration[]): Uint32Array {
  const stands = Uint32Array.from({ length: count + 1 }, (_, id) => id);
  for (const { ids, definitions } of declared) {
    for (const id of ids) stands[id] = definitions[0] ?? id;
  }
  return stands;
}

/** The class of each id. */
function partition(graph: readonly { shape: string; refers: number[] }[], stands: Uint32Array): Uint32Array {
  const classes = new Uint32Array(stands.length);
  const names = new Map<string, number>();
  const number = (key: string): number => {
    const known = names.get(key);
    if (known !== undefined) return known;
    names.set(key, names.size + 1);
    return names.size;
  };
  const node = (id: number) => graph[(stands[id] ?? id) - 1];
  for (let id = 1; id < classes.length; id++) classes[id] = number(node(id)?.shape ?? '');
  for (let count = names.size; ; count = names.size) {
    const before = classes.slice();
    names.clear();
    for (let id = 1; id < classes.length; id++) {
      const own = before[stands[id] ?? id] ?? 0;
      classes[id] = number(`${own}:${(node(id)?.refers ?? []).map((other) => before[other] ?? 0).join()}`);
    }
    if (names.size === count) return classes;
  }
}

function merged(types: readonly NewBtfType[], classes: Uint32Array, stands: Uint32Array): Deduplicated {
  const byClass = new Map<number, number>();
  const kept: NewBtfType[] = [];
  types.forEach((type, i) => {
    const id = i + 1;
    const its = classes[id] ?? 0;
    if (stands[id] !== id || byClass.has(its)) return;
    kept.push(type);
    byClass.set(its, kept.length);
  });
  const ids = Uint32Array.from(classes, (its) => byClass.get(its) ?? 0);
  return { types: kept.map((type) => withTypeIds(type, (id) => ids[id] ?? 0)), ids };
}
