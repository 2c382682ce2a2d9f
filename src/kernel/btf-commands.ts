// The BTF commands of the emulated kernel.

import { SkepError } from '../base/error.js';
import type { BtfCommands, BtfInfo, Fd } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { Btf } from '../btf/index.js';
import type { Descriptors } from './descriptors.js';
import type { Task } from './machine.js';
import { demandRoot } from './rights.js';
import { BadFields, checkStructures } from './verifier/records.js';
import { VmlinuxBtf } from './vmlinux.js';

export class KernelBtfs implements BtfCommands {
  readonly #descriptors: Descriptors;
  readonly #task: Task;

  constructor(descriptors: Descriptors, task: Task) {
    this.#descriptors = descriptors;
    this.#task = task;
  }

  async btfLoad(bytes: Uint8Array): Promise<Fd> {
    demandRoot(this.#task, 'BPF_BTF_LOAD');
    let btf: Btf;
    try {
      btf = Btf.parse(bytes.slice());
      checkStructures(btf);
    } catch (error) {
      if (error instanceof BadFields) throw new BpfError('BPF_BTF_LOAD', error.errno, error.message);
      if (error instanceof SkepError) throw new BpfError('BPF_BTF_LOAD', Errno.EINVAL, error.message);
      throw error;
    }
    const id = this.#descriptors.objects.newId('btf');
    return this.#descriptors.create('btf', { id, btf }, () => {});
  }

  async btfInfo(fd: Fd): Promise<BtfInfo> {
    const object = this.#descriptors.get(fd, 'btf', 'BPF_OBJ_GET_INFO_BY_FD');
    const kernelBtf = object instanceof VmlinuxBtf;
    return { id: object.id, size: object.btf.bytes.length, name: kernelBtf ? 'vmlinux' : '', kernelBtf };
  }

  async btfData(fd: Fd): Promise<Uint8Array> {
    return this.#descriptors.get(fd, 'btf', 'BPF_OBJ_GET_INFO_BY_FD').btf.bytes.slice();
  }

  async btfGetNextId(id: number): Promise<number> {
    const command = 'BPF_BTF_GET_NEXT_ID';
    demandRoot(this.#task, command);
    return this.#descriptors.objects.nextId('btf', id, command);
  }

  async btfGetFdById(id: number): Promise<Fd> {
    const command = 'BPF_BTF_GET_FD_BY_ID';
    demandRoot(this.#task, command);
    const object = this.#descriptors.objects.byId('btf', id, command);
    if (object instanceof VmlinuxBtf) await object.read();
    return this.#descriptors.open(object);
  }
}
