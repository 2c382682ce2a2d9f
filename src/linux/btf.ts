// The BTF commands of the real kernel, and the BTF that it gives as a file.

import { readFileSync } from 'node:fs';
import { SkepError } from '../base/error.js';
import type { BtfCommands, BtfInfo, BtfLoadOptions, Fd } from '../bpf/bpf.js';
import { attributes, infos } from './attributes.js';
import { fromCString, type Session } from './session.js';
import { loadWithLog } from './verifier-log.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';
/** More than any module's name has. */
const NAME_ROOM = 128;

/** The types of the running kernel, as `Btf.parse` takes them. Throws a SkepError when it does not say. */
export function readKernelBtf(): Uint8Array {
  try {
    return readFileSync(VMLINUX);
  } catch (cause) {
    throw new SkepError(`the running kernel does not tell its types: ${VMLINUX} cannot be read`, {
      hint: 'It needs Linux 5.4 or later, built with CONFIG_DEBUG_INFO_BTF.',
      cause,
    });
  }
}

export class LinuxBtf implements BtfCommands {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async btfLoad(btf: Uint8Array, options: BtfLoadOptions = {}): Promise<Fd> {
    const session = this.#session;
    const attr = session.struct(attributes.btfLoad, {
      btf,
      btf_size: btf.length,
      btf_token_fd: session.ownIfGiven('BPF_BTF_LOAD', options.tokenFd),
      ...(options.tokenFd === undefined ? {} : { btf_flags: 1 << 16 }),
    });
    const load = (buffer: Uint8Array | undefined, level: number) => {
      attr.set({
        btf_log_level: level,
        btf_log_size: buffer?.length ?? 0,
        btf_log_buf: buffer ?? new Uint8Array(),
      });
      return session.native.bpf('BPF_BTF_LOAD', attr.bytes);
    };
    const { logLevel = 0, log } = options;
    return session.adopt(
      loadWithLog('BPF_BTF_LOAD', logLevel, load, () => attr.u32('btf_log_true_size'), log),
    );
  }

  async btfInfo(fd: Fd): Promise<BtfInfo> {
    const name = new Uint8Array(NAME_ROOM);
    const info = this.#session.info(infos.bpf_btf_info, fd, { name, name_len: name.length });
    return {
      id: info.u32('id'),
      size: info.u32('btf_size'),
      name: fromCString(name),
      kernelBtf: info.u32('kernel_btf') !== 0,
    };
  }

  async btfData(fd: Fd): Promise<Uint8Array> {
    const btf = new Uint8Array((await this.btfInfo(fd)).size);
    this.#session.info(infos.bpf_btf_info, fd, { btf, btf_size: btf.length });
    return btf;
  }

  async btfGetNextId(id: number): Promise<number> {
    return this.#session.nextId('BPF_BTF_GET_NEXT_ID', id);
  }

  async btfGetFdById(id: number): Promise<Fd> {
    return this.#session.fdById('BPF_BTF_GET_FD_BY_ID', id);
  }
}
