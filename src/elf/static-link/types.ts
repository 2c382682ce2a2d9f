// The types of all objects in one, before they are merged. Global variables and functions have one type each, whichever
// object it comes from; what it is of is that of the object that defines it.

import { SkepError } from '../../base/error.js';
import { BtfBuilder, type NewBtfType } from '../../btf/encode.js';
import { withTypeIds } from '../../btf/references.js';
import type { BtfDatasec, BtfType } from '../../btf/types.js';
import type { InputObject } from './input.js';
import type { OutputSection } from './output.js';
import type { GlobalSymbol } from './symbols.js';

/** Which type a symbol of an object has, and in which DATASEC it stands, if in any. */
export interface SymbolType {
  id: number;
  datasec: BtfDatasec | undefined;
}

const isGlobal = (type: NewBtfType): boolean =>
  (type.kind === 'VAR' || type.kind === 'FUNC') && type.linkage !== 'static';

/** The types of global and extern symbols, by name. */
export function symbolTypes({ btf }: InputObject): Map<string, SymbolType> {
  const found = new Map<string, SymbolType>();
  if (btf === undefined) return found;
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (isGlobal(type)) {
      const known = found.get(type.name);
      if (known?.datasec === undefined) found.set(type.name, { id, datasec: undefined });
    } else if (type.kind === 'DATASEC') {
      for (const { type: variable } of type.vars) {
        const target = btf.type(variable);
        if (isGlobal(target)) found.set(target.name, { id: variable, datasec: type });
      }
    }
  }
  return found;
}

export class LinkedTypes {
  /** By id less one. */
  readonly all: NewBtfType[] = [];
  /** Has every string that an object brought, in that order. */
  readonly strings: BtfBuilder;

  constructor(littleEndian: boolean) {
    this.strings = new BtfBuilder({ littleEndian });
  }

  /** The string table so far. Unused strings stay in it, as libbpf leaves them. */
  get stringBytes(): Uint8Array {
    const bytes = this.strings.encode();
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const littleEndian = bytes[0] !== 0xeb;
    const start = view.getUint32(4, littleEndian) + view.getUint32(16, littleEndian);
    return bytes.subarray(start, start + view.getUint32(20, littleEndian));
  }

  /** Adds a type, and its strings. Gives back its id. */
  add(type: NewBtfType): number {
    this.strings.add(type);
    return this.all.push(type);
  }

  /** The type with this id, as it is compared. */
  readonly lookup = (id: number): BtfType => {
    const type = this.all[id - 1];
    return (type === undefined ? { kind: 'VOID', id, name: '' } : { ...type, id }) as BtfType;
  };

  set(id: number, type: NewBtfType): void {
    this.all[id - 1] = type;
  }

  /**
   * An extern is now defined by type `id` of `object`: it becomes global, and its parameters get the names that the
   * definition has.
   */
  define(target: number, object: InputObject, id: number): void {
    const type = this.lookup(target);
    if (type.kind === 'VAR') this.set(target, { ...type, linkage: 'global' });
    if (type.kind !== 'FUNC') return;
    this.set(target, { ...type, linkage: 'global' });
    const [proto, func] = [this.lookup(type.type), object.btf?.type(id)];
    const source = func?.kind === 'FUNC' ? object.btf?.type(func.type) : undefined;
    if (proto.kind !== 'FUNC_PROTO' || source?.kind !== 'FUNC_PROTO') return;
    const params = proto.params.map((param, i) => ({ ...param, name: source.params[i]?.name || param.name }));
    for (const { name } of params) this.strings.string(name);
    this.set(type.type, { ...proto, params });
  }

  /** Adds the types of an object but its sections. Gives back the new ids of its types; 0 for those left out. */
  append(object: InputObject, globals: ReadonlyMap<string, GlobalSymbol>): Uint32Array {
    const { btf } = object;
    const ids = new Uint32Array(btf?.typeCount ?? 1);
    if (btf === undefined) return ids;
    const first = this.all.length;
    for (let id = 1; id < btf.typeCount; id++) {
      const type = btf.type(id);
      if (type.kind === 'DATASEC' || type.kind === 'VOID') continue;
      const symbol = isGlobal(type) ? globals.get(type.name) : undefined;
      if (symbol === undefined) {
        // Without a symbol it belongs to a section that an earlier object has already.
        if (!isGlobal(type)) ids[id] = this.add(type);
        continue;
      }
      if (!symbol.hasUnderlying) {
        symbol.hasUnderlying = true;
        symbol.pendingType = (type as { type: number }).type;
      }
      if (symbol.typeId === 0) symbol.typeId = this.add(type);
      ids[id] = symbol.typeId;
    }
    const mapped = (old: number): number => {
      const id = ids[old] ?? 0;
      if (id !== 0 || old === 0) return id;
      throw new SkepError(`BTF type [${old}] is referred to and left out`, { where: object.name });
    };
    for (let i = first; i < this.all.length; i++) {
      const type = this.all[i];
      if (type !== undefined) this.all[i] = withTypeIds(type, mapped);
    }
    for (const symbol of globals.values()) {
      if (symbol.pendingType === undefined) continue;
      const type = this.lookup(symbol.typeId);
      if (type.kind === 'VAR' || type.kind === 'FUNC') {
        this.set(symbol.typeId, { ...type, type: mapped(symbol.pendingType) });
      }
      symbol.pendingType = undefined;
    }
    return ids;
  }

  /** Adds the variables of an object's sections to those of the sections that they went to. */
  appendVariables(
    object: InputObject,
    ids: Uint32Array,
    globals: ReadonlyMap<string, GlobalSymbol>,
    sizeOf: (id: number) => number,
  ): void {
    for (const { datasec, skipped, output, offset } of object.sections) {
      if (datasec === undefined || skipped || output === undefined) continue;
      output.hasDatasec = true;
      for (const variable of datasec.vars) {
        const id = ids[variable.type] ?? 0;
        const type = this.lookup(id);
        const symbol = isGlobal(type) ? globals.get(type.name) : undefined;
        checkSection(type, symbol, output);
        if (symbol?.variable !== undefined) {
          const known = output.vars[symbol.variable];
          // The definition may have another size than a declaration that came before.
          if (type.kind === 'VAR' && known)
            output.vars[symbol.variable] = { ...known, size: sizeOf(type.type) };
          continue;
        }
        if (symbol) symbol.variable = output.vars.length;
        output.vars.push({ type: id, size: variable.size, offset: offset + variable.offset });
      }
    }
  }
}

function checkSection(type: NewBtfType, symbol: GlobalSymbol | undefined, output: OutputSection): void {
  if (symbol === undefined || symbol.section === output) return;
  throw new SkepError(`it is in section '${symbol.section?.name ?? 'none'}' and in '${output.name}'`, {
    where: `global '${type.name}'`,
  });
}
