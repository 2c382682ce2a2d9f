// The types of a map's keys and values, for those that have BTF.

import type { Bpf, MapInfo } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { Btf } from '../../btf/btf.js';
import { type ValueWriter, valueWriter } from '../../btf/value-json.js';
import { loadedBtf } from '../objects.js';
import { statusOfErrno, ToolError } from '../tool-error.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';

/** Writes keys and values as their types say. */
export interface EntryTypes {
  /** None for maps of variables, whose key is always 0. */
  readonly key: ValueWriter | undefined;
  readonly value: ValueWriter;
}

/** The kernel's own BTF. Fails with a BpfError. */
export const kernelBtf = async (bpf: Bpf): Promise<Btf> => Btf.parse(await bpf.readFile(VMLINUX));

/** The types of a map; undefined for one without. `plain`: as text shows them, not JSON. */
export async function entryTypes(bpf: Bpf, info: MapInfo, plain: boolean): Promise<EntryTypes | undefined> {
  const ofKernel = info.btfVmlinuxValueTypeId !== 0;
  const valueId = info.btfVmlinuxValueTypeId || info.btfValueTypeId;
  if (valueId === 0) return undefined;
  let btf: Btf;
  try {
    btf = ofKernel ? await kernelBtf(bpf) : await loadedBtf(bpf, info.btfId);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const what = ofKernel ? 'failed to get kernel btf' : 'failed to get btf';
    throw new ToolError(`${what}: ${errnoMessage(error.errno)}`, statusOfErrno(error.errno));
  }
  const keyId = info.btfKeyTypeId;
  return {
    key: keyId === 0 ? undefined : valueWriter(btf, keyId, { plain }),
    value: valueWriter(btf, valueId, { plain }),
  };
}
