// Symbols of the object that is being made. Local ones are taken as they are; of global ones with the same name one
// remains: a definition before a declaration, a strong one before a weak one.

import { SkepError } from '../../base/error.js';
import { type ElfSymbol, SpecialSection, SymbolBinding, SymbolType as SymbolKind } from '../file.js';
import type { StringTable } from '../writer.js';
import { EXTERN_SECTION, type InputObject, type InputSection } from './input.js';
import { checkSameType } from './match.js';
import type { OutputSection } from './output.js';
import { type LinkedTypes, type SymbolType, symbolTypes } from './types.js';

const SYMBOL_SIZE = 24;
/** Where the kernel's jump tables are; their symbols have no types. */
const JUMP_TABLES = '.jumptables';

/** As it is written. */
interface OutputSymbol {
  nameOffset: number;
  binding: number;
  type: number;
  visibility: number;
  section: number;
  value: number;
  size: number;
}

export interface GlobalSymbol {
  /** In the symbol table. */
  readonly index: number;
  /** Where it is defined; undefined while it is only declared, outside of any section. */
  section: OutputSection | undefined;
  isExtern: boolean;
  isWeak: boolean;
  /** Of its VAR or FUNC; 0 before there is one. */
  typeId: number;
  /** Whether it is known what the VAR or FUNC is of; the id in the object that says so until it has its new one. */
  hasUnderlying: boolean;
  pendingType: number | undefined;
  /** Its place among the variables of the section. */
  variable: number | undefined;
}

export class LinkedSymbols {
  readonly globals = new Map<string, GlobalSymbol>();
  readonly #all: OutputSymbol[] = [
    { nameOffset: 0, binding: 0, type: 0, visibility: 0, section: 0, value: 0, size: 0 },
  ];
  readonly #names: StringTable;
  readonly #types: LinkedTypes;

  constructor(names: StringTable, types: LinkedTypes) {
    this.#names = names;
    this.#types = types;
  }

  /** In bytes. */
  get size(): number {
    return this.#all.length * SYMBOL_SIZE;
  }

  /** Adds an object's symbols. Gives back the new index of each; 0 for those left out. */
  append(object: InputObject): Uint32Array {
    const types = symbolTypes(object);
    return Uint32Array.from(object.elf.symbols, (symbol, index) =>
      index === 0 ? 0 : this.#append(object, symbol, types),
    );
  }

  #append(object: InputObject, symbol: ElfSymbol, types: ReadonlyMap<string, SymbolType>): number {
    const { name } = symbol;
    const where = `${object.name}, symbol '${name}'`;
    const isExtern = !symbol.special && symbol.section === SpecialSection.Undefined;
    if (isExtern && object.btf === undefined) {
      throw new SkepError('it is declared only, and without BTF nothing says what it is', {
        where,
        hint: 'Compile with -g.',
      });
    }
    let section: InputSection | undefined;
    if (!isExtern && !symbol.special) {
      section = object.sections[symbol.section];
      if (section === undefined || section.skipped) return 0;
      // One section symbol is enough.
      if (symbol.type === SymbolKind.Section && section.output?.symbol) return section.output.symbol;
    }
    if (symbol.binding === SymbolBinding.Local || section?.name === JUMP_TABLES) {
      return this.#add(symbol, section, isExtern);
    }
    const type = types.get(name);
    if (type === undefined) {
      throw new SkepError('there is no BTF for this global symbol', { where, hint: 'Compile with -g.' });
    }
    if (isExtern && type.datasec !== undefined && type.datasec.name !== EXTERN_SECTION) {
      section = object.sectionByName(type.datasec.name);
    }
    const known = this.globals.get(name);
    if (known === undefined) return this.#add(symbol, section, isExtern);
    this.#resolve(object, symbol, type, known, section, isExtern);
    return known.index;
  }

  #resolve(
    object: InputObject,
    symbol: ElfSymbol,
    { id }: SymbolType,
    known: GlobalSymbol,
    section: InputSection | undefined,
    isExtern: boolean,
  ): void {
    const { name, binding } = symbol;
    const isWeak = binding === SymbolBinding.Weak;
    if (!isExtern && !known.isExtern && !known.isWeak && !isWeak) {
      throw new SkepError('it is defined in an earlier object already', {
        where: `${object.name}, symbol '${name}'`,
        hint: 'Make one of them static, or __weak.',
      });
    }
    const { btf } = object;
    if (btf === undefined || known.typeId === 0) {
      throw new SkepError('there is no BTF for this global symbol', {
        where: `${object.name}, symbol '${name}'`,
      });
    }
    const isMap = known.section?.name === '.maps';
    const types = (one: number) => btf.type(one);
    checkSameType(name, { types: this.#types.lookup, id: known.typeId }, { types, id }, isMap);
    const output = this.#all[known.index];
    if (output === undefined) return;
    if (binding === SymbolBinding.Global) {
      output.binding = SymbolBinding.Global;
      known.isWeak = false;
    }
    // The stricter visibility wins, even that of a mere declaration.
    output.visibility = Math.max(output.visibility, symbol.visibility);
    if (isExtern || (!known.isExtern && isWeak)) return;
    output.type = symbol.type;
    output.section = section?.output?.index ?? 0;
    output.value = (section?.offset ?? 0) + symbol.value;
    output.size = symbol.size;
    known.section = section?.output;
    known.isExtern = false;
    known.hasUnderlying = false;
    this.#types.define(known.typeId, object, id);
  }

  #add(symbol: ElfSymbol, section: InputSection | undefined, isExtern: boolean): number {
    const { name, binding, type, visibility, size } = symbol;
    const isSection = type === SymbolKind.Section && section !== undefined;
    const index = this.#all.push({
      nameOffset: this.#names.add(name),
      binding,
      type,
      visibility,
      section: section === undefined ? symbol.section : (section.output?.index ?? 0),
      value: isSection ? 0 : (section?.offset ?? 0) + symbol.value,
      size,
    });
    if (isSection && section?.output) section.output.symbol = index - 1;
    if (binding !== SymbolBinding.Local) {
      this.globals.set(name, {
        index: index - 1,
        section: section?.output,
        isExtern,
        isWeak: binding === SymbolBinding.Weak,
        typeId: 0,
        hasUnderlying: false,
        pendingType: undefined,
        variable: undefined,
      });
    }
    return index - 1;
  }

  /** struct Elf64_Sym: u32 name, u8 info, u8 other, u16 section, u64 value, u64 size. */
  encode(littleEndian: boolean): Uint8Array {
    const bytes = new Uint8Array(this.size);
    const view = new DataView(bytes.buffer);
    this.#all.forEach(({ nameOffset, binding, type, visibility, section, value, size }, i) => {
      const at = i * SYMBOL_SIZE;
      view.setUint32(at, nameOffset, littleEndian);
      bytes[at + 4] = (binding << 4) | type;
      bytes[at + 5] = visibility;
      view.setUint16(at + 6, section, littleEndian);
      view.setBigUint64(at + 8, BigInt(value), littleEndian);
      view.setBigUint64(at + 16, BigInt(size), littleEndian);
    });
    return bytes;
  }
}
