// The ids by which a type refers to others.

import type { NewBtfType } from './encode.js';

/** The type with each id that it refers to replaced by what `map` gives for it, in the order of the fields. */
export function withTypeIds(type: NewBtfType, map: (id: number) => number): NewBtfType {
  switch (type.kind) {
    case 'VOID':
    case 'INT':
    case 'FLOAT':
    case 'ENUM':
    case 'ENUM64':
    case 'FWD':
      return type;
    case 'PTR':
    case 'VOLATILE':
    case 'CONST':
    case 'RESTRICT':
    case 'TYPEDEF':
    case 'TYPE_TAG':
    case 'DECL_TAG':
    case 'FUNC':
    case 'VAR':
      return { ...type, type: map(type.type) };
    case 'ARRAY':
      return { ...type, type: map(type.type), indexType: map(type.indexType) };
    case 'STRUCT':
    case 'UNION':
      return { ...type, members: type.members.map((member) => ({ ...member, type: map(member.type) })) };
    case 'FUNC_PROTO':
      return {
        ...type,
        returnType: map(type.returnType),
        params: type.params.map((param) => ({ ...param, type: map(param.type) })),
      };
    case 'DATASEC':
      return { ...type, vars: type.vars.map((variable) => ({ ...variable, type: map(variable.type) })) };
  }
}

/** The ids that a type refers to, in the order of the fields; repeated where it repeats them. */
export function typeIdsOf(type: NewBtfType): number[] {
  const ids: number[] = [];
  withTypeIds(type, (id) => {
    ids.push(id);
    return id;
  });
  return ids;
}
