// The BTF of several files as one, over the base that all of them continue: what two files have alike is there once, what
// the base has not at all.

import { Btf } from '../../btf/btf.js';
import { dedupTypes } from '../../btf/dedup.js';
import { BtfBuilder, type NewBtfType } from '../../btf/encode.js';
import { withTypeIds } from '../../btf/references.js';

/** Merges split BTF. Types of the base keep their ids; the others follow in the order of the files. */
export function mergedBtf(parts: readonly Btf[], base: Btf): Btf {
  const first = base.typeCount;
  const types: NewBtfType[] = [];
  for (let id = 1; id < first; id++) types.push(base.type(id));
  for (const part of parts) {
    const shift = types.length + 1 - first;
    for (let id = first; id < part.typeCount; id++) {
      types.push(withTypeIds(part.type(id), (other) => (other < first ? other : other + shift)));
    }
  }
  // Types of one class are one. Where the class has a definition, a declaration does not stand for it.
  const { ids: classes } = dedupTypes(types);
  const definitions = new Map<number, number>();
  types.forEach((type, i) => {
    const its = classes[i + 1] ?? 0;
    if (!isDeclaration(type) && !definitions.has(its)) definitions.set(its, i + 1);
  });
  const ids = new Map<number, number>();
  const kept: NewBtfType[] = [];
  types.forEach((_, i) => {
    const its = classes[i + 1] ?? 0;
    if (ids.has(its)) return;
    const id = definitions.get(its) ?? i + 1;
    if (id < first) ids.set(its, id);
    else if (i + 1 >= first) {
      kept.push(types[id - 1] as NewBtfType);
      ids.set(its, first + kept.length - 1);
    }
  });
  const builder = new BtfBuilder({ base });
  for (const type of kept) {
    builder.add(withTypeIds(type, (id) => (id < first ? id : (ids.get(classes[id] ?? 0) ?? 0))));
  }
  return Btf.parse(builder.encode(), { base });
}

const isDeclaration = (type: NewBtfType): boolean =>
  type.kind === 'FWD' || ((type.kind === 'ENUM' || type.kind === 'ENUM64') && type.values.length === 0);
