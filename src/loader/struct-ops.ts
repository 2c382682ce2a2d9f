// Instances of kernel structures (`.struct_ops`): the kernel's structure is filled in member by member, by name, since the
// object's may have other members in another order; then it is the value of a map. libbpf does the same when it loads.

import { SkepError } from '../base/error.js';
import type { Bpf, Fd } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { MapFlag, MapType } from '../bpf/types.js';
import type { Btf } from '../btf/btf.js';
import type { BtfComposite } from '../btf/types.js';
import type { StructOpsSpec } from '../elf/spec.js';
import type { Collection } from './collection.js';
import { kernelBtfBytes } from './kernel-btf.js';
import { kernelName } from './names.js';

/** Begins the name of the structure around a kernel structure that is a map's value: its state, and the structure. */
export const STRUCT_OPS_VALUE_PREFIX = 'bpf_struct_ops_';

/** Without its flavor: `name___v2` is another declaration of the same structure. */
const kernelStruct = (name: string): string => name.replace(/(?<=[^_])___[^_].*$/, '');

interface Layout {
  /** The value's type in the kernel's BTF, and its size in bytes. */
  typeId: number;
  size: number;
  /** The structure, and where it begins in the value, in bytes. */
  struct: BtfComposite;
  offset: number;
}

function layoutOf(kernelBtf: Btf, name: string, where: string): Layout {
  const typeId = kernelBtf.findByName(STRUCT_OPS_VALUE_PREFIX + name, 'STRUCT');
  const structId = kernelBtf.findByName(name, 'STRUCT');
  const [value, struct] = [typeId, structId].map((id) => (id === undefined ? undefined : kernelBtf.type(id)));
  const data = value?.kind === 'STRUCT' ? value.members.find(({ type }) => type === structId) : undefined;
  if (typeId === undefined || value?.kind !== 'STRUCT' || struct?.kind !== 'STRUCT' || data === undefined) {
    throw new SkepError(`the kernel has no struct ${name} that programs can implement`, { where });
  }
  return { typeId, size: value.size, struct, offset: data.bitOffset / 8 };
}

/** Writes the object's members where the kernel has them; programs as their descriptors. */
function fillIn(
  ops: StructOpsSpec,
  btf: Btf,
  kernelBtf: Btf,
  layout: Layout,
  programs: ReadonlyMap<string, Fd>,
): Uint8Array {
  const where = `struct_ops '${ops.name}'`;
  const value = new Uint8Array(layout.size);
  const view = new DataView(value.buffer);
  const own = btf.type(ops.typeId);
  if (own.kind !== 'STRUCT') throw new SkepError(`is a ${own.kind}, not a struct`, { where });
  for (const { name, type, bitOffset, bitSize } of own.members) {
    const size = btf.sizeOf(type);
    const bytes = ops.contents.subarray(bitOffset / 8, bitOffset / 8 + size);
    const program = ops.programs.find(({ member }) => member === name)?.program;
    const unset = program === undefined && bytes.every((byte) => byte === 0);
    const there = layout.struct.members.find((member) => member.name === name);
    if (there === undefined) {
      if (unset) continue;
      throw new SkepError(`sets '${name}', which the kernel's struct ${layout.struct.name} does not have`, {
        where,
      });
    }
    const at = layout.offset + there.bitOffset / 8;
    if (program !== undefined) {
      const fd = programs.get(program);
      if (fd === undefined) throw new SkepError(`program '${program}' is not loaded`, { where });
      view.setBigUint64(at, BigInt(fd), true);
    } else if (!unset) {
      const kernelSize = kernelBtf.sizeOf(there.type);
      if (bitSize > 0 || there.bitSize > 0 || kernelSize !== size) {
        throw new SkepError(`'${name}' has ${size} bytes, and ${kernelSize} in the kernel`, { where });
      }
      value.set(bytes, at);
    }
  }
  return value;
}

/**
 * Makes the map of an instance, whose programs are loaded, and fills it in. One of `.struct_ops` is then registered; one of
 * `.struct_ops.link` waits for a link. Throws a SkepError. The descriptor is the caller's.
 */
export async function createStructOps(
  kernel: Bpf,
  collection: Collection,
  ops: StructOpsSpec,
  kernelBtf: Btf,
): Promise<Fd> {
  const where = `struct_ops '${ops.name}'`;
  const { btf } = collection.spec;
  if (btf === undefined) throw new SkepError('there is no BTF that says what it is', { where });
  const layout = layoutOf(kernelBtf, kernelStruct(ops.struct), where);
  const programs = new Map([...collection.programs].map(([name, { fd }]) => [name, fd]));
  const value = fillIn(ops, btf, kernelBtf, layout, programs);
  let types: Fd | undefined;
  try {
    // The kernel asks for BTF of the object too, whatever it says.
    types = await kernel.btfLoad(kernelBtfBytes(btf));
    const fd = await kernel.mapCreate({
      type: MapType.StructOps,
      keySize: 4,
      valueSize: layout.size,
      maxEntries: 1,
      flags: ops.link ? MapFlag.Link : 0,
      name: kernelName(ops.name),
      btfFd: types,
      btfVmlinuxValueTypeId: layout.typeId,
    });
    try {
      await kernel.mapUpdateElem(fd, new Uint8Array(4), value);
      return fd;
    } catch (error) {
      await kernel.close(fd);
      throw error;
    }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new SkepError(`cannot be made: ${error.message}`, { where, cause: error });
  } finally {
    if (types !== undefined) await kernel.close(types);
  }
}
