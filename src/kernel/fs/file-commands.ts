// Names in the file tree, for one process: pins, directories, and the files that the kernel makes up.

import type { Fd, FileCommands, FileEntry, FileStat } from '../../bpf/bpf.js';
import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag } from '../../bpf/types.js';
import type { Descriptors } from '../descriptors.js';
import type { KernelMachine, Task } from '../machine.js';
import { Access, Directory, type FileReader, type MadeFile } from './nodes.js';

const pinKinds = { map: 'map', program: 'prog', link: 'link' } as const;
const isPinnable = (kind: string): kind is keyof typeof pinKinds => Object.hasOwn(pinKinds, kind);

/** Flags of BPF_OBJ_GET that say what the descriptor is for. */
const MODES = MapFlag.Rdonly | MapFlag.Wronly;

export class KernelFiles implements FileCommands {
  readonly #machine: KernelMachine;
  readonly #descriptors: Descriptors;
  readonly #task: Task;

  constructor(machine: KernelMachine, descriptors: Descriptors, task: Task) {
    this.#machine = machine;
    this.#descriptors = descriptors;
    this.#task = task;
  }

  get #tree() {
    return this.#machine.files;
  }

  // ---- pins

  async objPin(fd: Fd, path: string): Promise<void> {
    const command = 'BPF_OBJ_PIN';
    const { kind, object } = this.#descriptors.file(fd, command);
    if (!isPinnable(kind)) {
      throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is a ${kind}, which cannot be pinned`);
    }
    this.#tree.pin(this.#task, path, object, pinKinds[kind]);
  }

  async objGet(path: string, fileFlags = 0): Promise<Fd> {
    const command = 'BPF_OBJ_GET';
    if (fileFlags & ~MODES || fileFlags === MODES) {
      throw new BpfError(command, Errno.EINVAL, `flags 0x${fileFlags.toString(16)} mean nothing here`);
    }
    const read = fileFlags & MapFlag.Wronly ? 0 : Access.Read;
    const write = fileFlags & MapFlag.Rdonly ? 0 : Access.Write;
    const { kind, object } = this.#tree.pinned(this.#task, path, read | write);
    if (kind === 'link' && fileFlags) {
      throw new BpfError(command, Errno.EINVAL, 'a link is neither read nor written');
    }
    return this.#descriptors.open(object, kind === 'map' ? fileFlags : 0);
  }

  async tokenCreate(bpffs: string): Promise<Fd> {
    const command = 'BPF_TOKEN_CREATE';
    if (!this.#tree.isBpfRoot(this.#task, bpffs)) {
      throw new BpfError(command, Errno.EINVAL, `${bpffs} is not where a bpf file system is mounted`);
    }
    throw new BpfError(
      command,
      Errno.EOPNOTSUPP,
      'rights are delegated to other user namespaces, and there is only the first',
    );
  }

  // ---- names

  async bpfMounts(): Promise<string[]> {
    return this.#tree.bpfMounts;
  }

  async fileList(path: string): Promise<FileEntry[]> {
    return this.#tree.list(this.#task, path);
  }

  async fileStat(path: string): Promise<FileStat> {
    return this.#tree.stat(this.#task, path);
  }

  async mkdir(path: string, mode = 0o777): Promise<void> {
    this.#tree.mkdir(this.#task, path, mode);
  }

  async rmdir(path: string): Promise<void> {
    this.#tree.rmdir(this.#task, path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#tree.rename(this.#task, from, to);
  }

  async hardLink(from: string, to: string): Promise<void> {
    this.#tree.link(this.#task, from, to);
  }

  async unlink(path: string): Promise<void> {
    this.#tree.unlink(this.#task, path);
  }

  async chmod(path: string, mode: number): Promise<void> {
    this.#tree.chmod(this.#task, path, mode);
  }

  // ---- contents

  async readFile(path: string): Promise<Uint8Array> {
    const { read } = this.#file(path, Access.Read).content;
    if (!read) throw new BpfError('read', Errno.EINVAL, `${path} cannot be read`);
    return read(this.#task);
  }

  async writeFile(path: string, content: Uint8Array): Promise<void> {
    const { write, truncate } = this.#file(path, Access.Write).content;
    truncate?.();
    if (!write) throw new BpfError('write', Errno.EINVAL, `${path} cannot be written`);
    // Nothing is no value, and no change.
    if (content.length > 0) write(content, this.#task);
  }

  #file(path: string, access: number): MadeFile {
    const node = this.#tree.open(this.#task, path, access);
    if (node instanceof Directory) throw new BpfError('read', Errno.EISDIR, path);
    return node;
  }

  async open(path: string): Promise<Fd> {
    const node = this.#tree.open(this.#task, path, Access.Read);
    const reader = node instanceof Directory ? undefined : await this.#reader(node);
    return this.#descriptors.create('file', { id: 0, reader }, () => reader?.close());
  }

  async #reader({ content }: MadeFile): Promise<FileReader> {
    if (content.open) return content.open(this.#task);
    const all = (await content.read?.(this.#task)) ?? new Uint8Array();
    let at = 0;
    return {
      read: async (size) => {
        const part = all.slice(at, at + size);
        at += part.length;
        return part;
      },
      close: () => {},
    };
  }

  async read(fd: Fd, size: number): Promise<Uint8Array> {
    const file = this.#descriptors.find(fd, 'file');
    if (!file) {
      const { kind } = this.#descriptors.file(fd, 'read');
      throw new BpfError('read', Errno.EINVAL, `descriptor ${fd} is a ${kind}, which cannot be read`);
    }
    if (!file.reader) throw new BpfError('read', Errno.EISDIR, `descriptor ${fd}`);
    return file.reader.read(size);
  }
}
