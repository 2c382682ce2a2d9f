// Changes to a CollectionSpec before it is loaded: values of variables, sizes of maps.

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import type { BtfSectionVar } from '../btf/types.js';
import { decodeValue, encodeValue, type Value } from '../btf/value.js';
import { BtfEditor } from '../elf/btf-edit.js';
import type { CollectionSpec, MapSpec, VariableSpec } from '../elf/spec.js';
import { listNames } from './names.js';

/** The variable of this name; throws a SkepError that lists those that there are. */
export function findVariable(spec: CollectionSpec, name: string): VariableSpec {
  const found = spec.variables.filter((variable) => variable.name === name);
  const [variable] = found.length > 1 ? found.filter(({ linkage }) => linkage === 'global') : found;
  if (variable !== undefined) return variable;
  throw found.length > 1
    ? new SkepError(`${found.length} static variables have this name`, { where: `variable '${name}'` })
    : new SkepError('there is no such variable', {
        where: `variable '${name}'`,
        hint: `Known: ${listNames(spec.variables.map((known) => known.name))}.`,
      });
}

function findMap(spec: CollectionSpec, name: string): MapSpec {
  const map = spec.maps.find((candidate) => candidate.name === name);
  if (map !== undefined) return map;
  throw new SkepError('there is no such map', {
    where: `map '${name}'`,
    hint: `Known: ${listNames(spec.maps.map((known) => known.name))}.`,
  });
}

/** The bytes of a value of a variable; throws a SkepError when the value does not fit. */
export function encodeVariable(btf: Btf | undefined, variable: VariableSpec, value: Value): Uint8Array {
  const where = `variable '${variable.name}'`;
  let bytes: Uint8Array;
  if (btf === undefined || variable.typeId === 0) {
    if (!(value instanceof Uint8Array)) {
      throw new SkepError(`its type is not known: the object has no BTF for it`, {
        where,
        hint: `Give its ${variable.size} bytes as a Uint8Array, or compile with -g.`,
      });
    }
    bytes = value;
  } else {
    try {
      bytes = encodeValue(btf, variable.typeId, value);
    } catch (cause) {
      if (!(cause instanceof SkepError)) throw cause;
      throw new SkepError(cause.message, { where, hint: cause.hint, cause });
    }
  }
  if (bytes.length === variable.size) return bytes;
  throw new SkepError(`has ${variable.size} bytes, but the value has ${bytes.length}`, { where });
}

/** The value that the bytes of a variable are; the bytes themselves when its type is not known. */
export function decodeVariable(btf: Btf | undefined, variable: VariableSpec, bytes: Uint8Array): Value {
  const own = bytes.slice(variable.offset, variable.offset + variable.size);
  return btf === undefined || variable.typeId === 0 ? own : decodeValue(btf, variable.typeId, own);
}

function contentsOf(spec: CollectionSpec, variable: VariableSpec): Uint8Array {
  const contents = findMap(spec, variable.map).section?.contents;
  if (contents !== undefined && variable.offset + variable.size <= contents.length) return contents;
  throw new SkepError(`is outside the contents of ${variable.map}`, { where: `variable '${variable.name}'` });
}

/**
 * Sets a variable to the value that it has when the object is loaded: a number, bigint, boolean, string, array or
 * object, as its BTF type says. Throws a SkepError for an unknown name (listing the known ones) or a value that
 * does not fit.
 */
export function setVariable(spec: CollectionSpec, name: string, value: Value): void {
  const variable = findVariable(spec, name);
  const bytes = encodeVariable(spec.btf, variable, value);
  contentsOf(spec, variable).set(bytes, variable.offset);
}

/** The value that a variable has when the object is loaded. */
export function getVariable(spec: CollectionSpec, name: string): Value {
  const variable = findVariable(spec, name);
  return decodeVariable(spec.btf, variable, contentsOf(spec, variable));
}

/**
 * Resizes a map before it is loaded: the number of entries, or for the map of a section (`.bss`) its bytes. A section
 * can only change its size when its last variable is an array, which grows or shrinks by whole elements
 * (libbpf's bpf_map__set_value_size); where it is not, the map can no longer be described by BTF, and that is refused.
 */
export function resizeMap(spec: CollectionSpec, name: string, size: number): void {
  const map = findMap(spec, name);
  const where = `map '${name}'`;
  if (!Number.isInteger(size) || size < 1 || size > 0xffff_ffff) {
    throw new SkepError(`${size} is no size: it must be a whole number from 1 to ${0xffff_ffff}`, { where });
  }
  if (map.section === undefined) {
    map.maxEntries = size;
    return;
  }
  const { btf } = spec;
  const datasec = btf === undefined || map.valueTypeId === 0 ? undefined : btf.type(map.valueTypeId);
  const last = datasec?.kind === 'DATASEC' ? datasec.vars.at(-1) : undefined;
  if (btf === undefined || datasec?.kind !== 'DATASEC' || last === undefined) {
    throw new SkepError('cannot be resized: BTF does not say which variables it holds', { where });
  }
  const variable = btf.type(last.type);
  const array = btf.type(btf.skipModifiers(last.type === 0 || variable.kind !== 'VAR' ? 0 : variable.type));
  if (array.kind !== 'ARRAY') {
    throw new SkepError(`cannot be resized: its last variable, '${btf.nameOf(last.type)}', is no array`, {
      where,
    });
  }
  const element = btf.sizeOf(array.type);
  const length = (size - last.offset) / element;
  if (!Number.isInteger(length) || length < 1) {
    throw new SkepError(
      `cannot have ${size} bytes: its last variable, '${btf.nameOf(last.type)}', begins at ${last.offset} and has elements of ${element} bytes`,
      { where },
    );
  }
  const editor = new BtfEditor(btf);
  const arrayId = editor.addType([0, 3 << 24, 0, array.type, array.indexType, length]);
  editor.setType(last.type, arrayId);
  const vars: BtfSectionVar[] = datasec.vars.slice(0, -1);
  editor.setDatasec(datasec.id, size, [...vars, { ...last, size: size - last.offset }]);
  spec.btf = editor.build();
  const contents = new Uint8Array(size);
  contents.set(map.section.contents.subarray(0, size));
  map.section.contents = contents;
  map.valueSize = size;
  for (const it of spec.variables) {
    if (it.map !== map.name || it.offset !== last.offset) continue;
    it.size = size - last.offset;
    it.typeId = arrayId;
  }
}
